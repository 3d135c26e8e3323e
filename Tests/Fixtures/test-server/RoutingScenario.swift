import Glibc
import SwiftServer
import TestProtocol

/// Routes, groups and middleware, beside callbacks.
@MainActor enum RoutingScenario {
    private struct Failure: Error {}

    private struct Refusal: RequestError {
        let status = 418
        let message = "no coffee"
    }

    /// Adds its name to the response, before and after the handler.
    private struct Trace: Middleware {
        let name: String

        func handle(_ request: Request, _ response: Response, next: Next) async throws {
            response.header("X-Trace", "\(name) \(request.routePattern ?? "-") \(request.parameters["id"] ?? "-")")
            try await next(request, response)
            Event.outcome("\(name) after").report()
        }
    }

    /// Answers in place of the handler.
    private struct Gate: Middleware {
        func handle(_ request: Request, _ response: Response, next: Next) async throws {
            if request.query["wait"] != nil { await Task.yield() }
            if request.query["key"] == "secret" { return try await next(request, response) }
            response.status(401)
            response.end("no key")
            if request.query["on"] != nil { try await next(request, response) }
        }
    }

    /// Answers for handlers that fail.
    private struct Rescue: Middleware {
        func handle(_ request: Request, _ response: Response, next: Next) async throws {
            do { try await next(request, response) } catch is Failure {
                response.status(503)
                response.end("rescued")
            }
        }
    }

    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        routes(server)
        groups(server)
        sockets(server)
        if configuration.hasCallbacks == true {
            server.onRequest { request, response in
                response.status(404)
                response.end("callback \(request.path)")
            }
            server.onOpen { server, request in server.push("callback \(request.path)", to: request.fd) }
            server.onMessage { server, frame in server.push("callback \(frame.text)", to: frame.fd) }
        }
        surrounded(server)
        server.listen(.http)  // with the routes of the server
    }

    private static func routes(_ server: WebSocketServer) {
        server.get("/users/:id") { request, response in response.end("user \(request.parameters["id"] ?? "")") }
        server.get("/users/me") { request, response in response.end("me, \(request.parameters.count) parameters") }
        server.post("/users") { request, response in
            response.status(201)
            response.end("created \(String(decoding: request.body, as: UTF8.self))")
        }
        server.get("/numbers/:number") { request, response in
            let number = try request.parameters.get("number", as: Int.self)
            response.end("\(number + 1)")
        }
        server.get("/later/:id") { request, response in
            await server.sleep(for: .milliseconds(1))
            response.end("later \(request.parameters["id"] ?? "")")
        }
        server.get("/files/*path") { request, response in response.end(request.parameters["path"] ?? "") }
        server.any("/any") { request, response in response.end("any \(request.method)") }
        server.route("PROPFIND", "/any/dav") { request, response in response.end("found") }
        server.get("/misnamed/:id") { request, response in _ = try request.parameters.get("name", as: Int.self) }
        server.get("/fails/:id") { _, _ in throw Failure() }
        server.get("/fails-later") { request, response in
            await Task.yield()
            throw Failure()
        }
        server.get("/refuses") { _, _ in throw Refusal() }
    }

    private static func groups(_ server: WebSocketServer) {
        let things = Router()
        things.get("/") { request, response in response.end("things of \(request.parameters["owner"] ?? "-")") }
        things.get("/:id") { request, response in response.end("thing \(request.parameters["id"] ?? "-")") }
        server.mount("/things", things)
        server.group("/api", use: [Trace(name: "outer")]) { api in
            api.mount("/:owner/things", things)
            api.get("/plain") { _, response in response.end("plain") }
            api.group("/inner", use: [Trace(name: "inner"), Gate()]) { inner in
                inner.get("/:id") { request, response in response.end("inner \(request.parameters["id"] ?? "-")") }
                inner.put("/:id") { request, response in response.end("put") }
            }
            api.group(use: [Rescue()]) { rescued in
                rescued.get("/rescued") { _, _ in throw Failure() }
                rescued.get("/refused") { _, _ in throw Refusal() }
                rescued.get("/fails") { _, _ in throw ServerErrorOfAnotherKind() }
            }
        }
    }

    private struct ServerErrorOfAnotherKind: Error {}

    private static func sockets(_ server: WebSocketServer) {
        server.handle("/rooms/:room") { request, ws in try await serve(request, ws) }
        server.group("/guarded", use: [Trace(name: "guard"), Gate(), Rescue()]) { guarded in
            guarded.handle("/rooms/:room") { request, ws in try await serve(request, ws) }
            guarded.handle("/fails") { _, _ in throw Failure() }
            guarded.handle("/slow") { request, ws in
                await server.sleep(for: .milliseconds(20))
                try await serve(request, ws)
            }
        }
    }

    private static func serve(_ request: Request, _ ws: WebSocket) async throws {
        let room = request.parameters["room"] ?? "-"
        guard request.isHandshake else {
            ws.end("\(request.method) \(room)")
            return
        }
        try await ws.upgrade()
        try await ws.push("\(ws.isResumed ? "again in" : "in") \(room) \(getpid())")
        for try await frame in ws.frames { try await ws.push("\(room) \(frame.text)") }
    }

    /// A port whose middleware surrounds everything, and that has callbacks for handshakes.
    private static func surrounded(_ server: WebSocketServer) {
        let port = server.listen(.webSocket)
        port.use(Trace(name: "port"))
        port.use { request, response, next in
            if request.path == "/forbidden" {
                response.status(403)
                response.end("forbidden")
            } else {
                try await next(request, response)
            }
        }
        port.get("/routed/:id") { request, response in response.end("routed \(request.parameters["id"] ?? "-")") }
        port.onRequest { request, response in
            if request.path == "/fails" { throw Failure() }
            response.end("unrouted \(request.path)")
        }
        port.onHandshake { request, handshake in
            if request.path == "/refused" { return handshake.refuse(status: 403, body: "not you") }
            try handshake.accept()
        }
        port.onMessage { server, frame in server.push("port \(frame.text)", to: frame.fd) }
        let open = server.listen(.webSocket)
        open.use(Trace(name: "open"), Gate())
        open.onMessage { server, frame in server.push("open \(frame.text)", to: frame.fd) }
    }
}
