import SwiftServer
import TestProtocol

/// Handlers for tests of HTTP itself: they record each request that reaches them, and answer in every form there is.
@MainActor enum ConformanceScenario {
    /// Method, target, field `X-Marker` and number of body bytes of each request since the list was last asked for.
    private static var seen: [String] = []

    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        server.settings.maxBody = 100_000
        server.settings.compressResponses = ResponseCompression()
        server.settings.messageTimeout = .seconds(60)
        server.use { request, response, next in
            seen.append(
                "\(request.method) \(request.target) \(request.header["x-marker"] ?? "-") \(request.body.count)")
            try await next(request, response)
        }
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        forms(server)
        uploads(server.listen(.http))
        server.onRequest { request, response in
            if request.path == "/seen" {
                response.end(seen.dropLast().joined(separator: "\n"))
                seen = []
                return
            }
            response.end("\(request.method) \(request.target) \(request.host) \(request.body.count)")
        }
    }

    private static func forms(_ server: WebSocketServer) {
        server.get("/whole/:status") { request, response in
            response.status(try request.parameters.get("status", as: Int.self))
            response.end("body")
        }
        server.get("/pieces/:status") { request, response in
            response.status(try request.parameters.get("status", as: Int.self))
            try await response.write("one")
            try await response.write("two")
            response.end()
        }
        server.get("/large") { _, response in response.end(String(repeating: "text ", count: 1000)) }
        server.get("/fails") { _, _ in throw CancellationError() }
        server.get("/cookies") { request, response in
            response.end("\(request.cookies["a"] ?? "-") \(request.cookies["b"] ?? "-")")
        }
        server.get("/set-cookies") { _, response in
            try response.cookie(Cookie("a", "1", path: "/"))
            try response.cookie(Cookie("b", "2", path: "/x"))
            response.end()
        }
        server.get("/upgradeable") { _, response in
            response.status(426)
            response.header("Upgrade", "example/1")
            response.end()
        }
        versions(server)
    }

    /// A port for uploads of any size, for `Tests/Clients/upload`: one that counts the bytes, and one that stores files.
    private static func uploads(_ port: ServerPort<WebSocketServer>) {
        port.settings.streamRequestBodies = true
        port.post("/count") { request, response in
            var count = 0
            for try await piece in request.bodyPieces { count += piece.count }
            response.end("\(count)")
        }
        port.post("/store") { request, response in
            let limits = MultipartLimits(partSize: .max, totalSize: .max)
            var count = 0
            for try await part in request.parts(limits: limits) {
                count += try await part.store(in: request.query["folder"]).size
            }
            response.end("\(count)")
        }
    }

    /// Resources with validators.
    private static func versions(_ server: WebSocketServer) {
        server.any("/versioned") { request, response in
            response.header("Cache-Control", "max-age=60")
            response.header("Vary", "Accept")
            response.header("Content-Location", "/versioned.1")
            guard response.meetsConditions(of: request, entityTag: "\"v1\"", lastModified: 784_111_777) else { return }
            response.end("version 1")
        }
        server.get("/future") { request, response in
            guard response.meetsConditions(of: request, lastModified: 253_402_300_000) else { return }
            response.end("from the future")
        }
    }
}
