// The middleware that is shipped: an access log, security headers, CORS, and limits for a group.
import SwiftServer

let server = HTTPServer(host: "127.0.0.1", port: 9501)

var headers = SecurityHeaders()
headers.contentSecurityPolicy = "default-src 'self'; frame-ancestors 'none'"
headers.frameOptions = "DENY"

server.use(
    AccessLog(.combined, file: "/tmp/access.log", skip: { $0.request.path == "/health" }), headers,
    CORS(.list(["https://shop.example"]), allowsCredentials: true, exposedHeaders: ["X-Total"]))

/// Refuses requests without the right key, and waits for nothing.
struct OnlyWithKey: SynchronousMiddleware {
    struct WrongKey: RequestError {
        let status = 401
        let message = "a key is needed"
    }

    func prepare(_ request: inout Request, _ response: Response) throws {
        guard request.header["x-key"] == "secret" else { throw WrongKey() }
    }
}

server.get("/health") { _, response in response.end("fine\n") }

server.group("/api", use: [OnlyWithKey(), RequestSizeLimit(100_000), TimeLimit(.seconds(5))]) { api in
    api.post("/orders") { request, response in
        let order = try await request.bodyPieces.collect()
        response.status(201)
        response.header("X-Total", "\(order.count)")
        response.end("ordered\n")
    }
}

server.serve()
