// Routes with parameters, a group with middleware, and a WebSocket below a path.
import SwiftServer

let server = WebSocketServer(host: "127.0.0.1", port: 9501)

struct OnlyWithToken: Middleware {
    func handle(_ request: Request, _ response: Response, next: Next) async throws {
        guard request.header["authorization"] == "Bearer secret" else {
            response.status(401)
            response.header("WWW-Authenticate", "Bearer")
            response.end("a token is needed\n")
            return
        }
        try await next(request, response)
    }
}

server.get("/users/:id") { request, response in
    let id = try request.parameters.get("id", as: Int.self)
    response.end("user \(id)\n")
}

server.group("/admin", use: [OnlyWithToken()]) { admin in
    admin.get("/routes") { request, response in response.end("\(server.routes)\n") }
    admin.delete("/users/:id") { request, response in
        response.status(204)
        response.end()
    }
}

server.handle("/rooms/:room") { request, ws in
    try await ws.upgrade()
    for try await frame in ws.frames { try await ws.push("\(request.parameters["room"] ?? ""): \(frame.text)") }
}

server.serve()
