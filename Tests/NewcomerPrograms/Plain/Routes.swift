// Programs with routes. Each function is the code of a small `main.swift`, which runs on the main actor.
import SwiftServer

struct Greeting: Middleware {
    func handle(_ request: Request, _ response: Response, next: Next) async throws {
        response.header("X-Greeting", "hello")
        try await next(request, response)
    }
}

struct UserController: Sendable {
    @MainActor func show(_ request: Request, _ response: Response) { response.end("show \(request.parameters["id"]!)") }
    @MainActor func save(_ request: Request, _ response: Response) async throws { response.end("saved") }
}

@MainActor enum Routes {
    static func methods() -> HTTPServer {
        let server = HTTPServer(port: 0, mode: .single)
        server.settings.logLevel = .none
        server.get("/") { _, response in response.end("home") }
        server.get("/users/:id") { request, response in
            let id = try request.parameters.get("id", as: Int.self)
            guard id < 100 else { throw Refused() }
            response.end("user \(id)")
        }
        server.post("/users") { request, response in
            response.status(201)
            response.end("\(request.body.count) bytes")
        }
        server.get("/slow/:name") { request, response in
            await server.sleep(for: .milliseconds(1))
            response.end("slow \(request.parameters["name"] ?? "")")
        }
        server.get("/files/*path") { request, response in
            response.end(request.parameters["path"] ?? "")
        }
        server.options("/special") { _, response in response.end("by hand") }
        server.any("/any") { request, response in response.end(request.method) }
        server.delete("/users/:id") { _, response in
            response.status(204)
            response.end()
        }
        return server
    }

    static func groups() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        let users = Router()
        let controller = UserController()
        users.get("/:id", controller.show)
        users.put("/:id", controller.save)
        server.group("/api", use: [Greeting()]) { api in
            api.mount("/users", users)
            api.get("/routes") { _, response in response.end("\(server.routes.count) routes") }
            api.handle("/rooms/:room") { request, ws in
                try await ws.upgrade()
                for try await frame in ws.frames { try await ws.push("\(request.parameters["room"]!): \(frame.text)") }
            }
        }
        server.use { request, response, next in
            if request.path == "/forbidden" {
                response.status(403)
                response.end("forbidden")
            } else {
                try await next(request, response)
            }
        }
        return server
    }

    static func ports() -> HTTPServer {
        let server = HTTPServer(port: 0, mode: .single)
        server.get("/") { _, response in response.end("public") }
        let admin = server.listen(.http)
        admin.get("/statistics") { _, response in response.end("\(server.ports.count) ports") }
        return server
    }
}
