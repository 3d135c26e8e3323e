// Programs of WebSockets and HTTP. Each function is the code of a small `main.swift`, which runs on the main actor.
import SwiftServer

struct Refused: Error {}

@MainActor enum Messages {
    static func echo() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        return server
    }

    static func echoWithALocalServer() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessage { _, frame in
            server.push(frame, to: frame.fd)
        }
        return server
    }

    static func greeting() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onOpen { server, request in
            let name = request.query["name"] ?? "you"
            server.push("Hello, \(name)!", to: request.fd)
        }
        server.onMessage { server, frame in
            print("\(frame.fd): \(frame.text)")
            server.push("You said \(frame.text)", to: frame.fd)
        }
        server.onClose { server, fd, reason in
            print("\(fd) is gone: \(reason)")
        }
        return server
    }

    static func checkedPush() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessage { server, frame in
            if server.push(frame, to: frame.fd).isAccepted {
                server.push("sent", to: frame.fd)
            } else {
                server.close(frame.fd)
            }
            guard server.push("and more", to: frame.fd) == .sent else { return }
        }
        return server
    }

    static func asynchronous() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessage { server, frame in
            await server.sleep(for: .milliseconds(1))
            server.push("later: \(frame.text)", to: frame.fd)
        }
        return server
    }

    static func tasksInHandlers() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessage { server, frame in
            Task {
                await server.sleep(for: .milliseconds(1))
                server.push("from a task: \(frame.text)", to: frame.fd)
            }
        }
        return server
    }

    static func detachedTasksInHandlers() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessage { server, frame in
            Task.detached {
                server.push("from elsewhere: \(frame.text)", to: frame.fd)
            }
        }
        return server
    }

    static func throwing() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.settings.logLevel = .none
        server.onMessage { server, frame in
            guard let number = Int(frame.text) else { throw Refused() }
            server.push("\(number * 2)", to: frame.fd)
        }
        server.onRequest { request, response in
            guard request.path == "/" else { throw Refused() }
            response.end("hello")
        }
        return server
    }

    static func throwingAndAsynchronous() -> WebSocketServer {
        func double(_ text: String) async throws -> Int {
            guard let number = Int(text) else { throw Refused() }
            return number * 2
        }
        let server = WebSocketServer(port: 0, mode: .single)
        server.settings.logLevel = .none
        server.onMessage { server, frame in
            let number = try await double(frame.text)
            server.push("\(number)", to: frame.fd)
        }
        server.onRequest { request, response in
            response.end("\(try await double(request.query["number"] ?? ""))")
        }
        return server
    }

    static func borrowedBytes() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessageSpan { server, fd, opcode, bytes in
            server.push(bytes, to: fd, opcode: opcode)
        }
        return server
    }

    static func topics() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onOpen { server, request in
            server.subscribe(request.fd, to: "news")
        }
        server.onMessage { server, frame in
            server.publish(frame.text, to: "news")
            server.publish(frame, to: "nobody")
        }
        return server
    }

    static func state() -> WebSocketServer {
        var names: [ConnectionID: String] = [:]
        var count = 0
        let server = WebSocketServer(port: 0, mode: .single)
        server.onOpen { _, request in
            count += 1
            names[request.fd] = "guest \(count)"
        }
        server.onMessage { server, frame in
            server.broadcast("\(names[frame.fd] ?? "nobody"): \(frame.text)")
        }
        server.onClose { _, fd, _ in names[fd] = nil }
        return server
    }

    static func json() -> HTTPServer {
        let server = HTTPServer(port: 0, mode: .single)
        server.onRequest { request, response in
            response.header("Content-Type", "application/json")
            response.end("{\"path\": \"\(request.path)\"}")
        }
        return server
    }

    static func answers() -> HTTPServer {
        let server = HTTPServer(port: 0, mode: .single)
        server.onRequest { request, response in
            switch request.path {
            case "/": response.end("home")
            case "/slow":
                await server.sleep(for: .milliseconds(1))
                response.end("slow")
            default:
                response.status(404)
                response.end("no such page")
            }
        }
        return server
    }

    static func laterAnswers() -> HTTPServer {
        var waiting: [Response] = []
        let server = HTTPServer(port: 0, mode: .single)
        server.onRequest { request, response in
            if request.path == "/wait" {
                waiting.append(response)
                server.after(.milliseconds(1)) {
                    for response in waiting { response.end("now") }
                    waiting = []
                }
            } else {
                response.end("at once")
            }
        }
        return server
    }

    static func straightLine() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.handle("/ws") { request, ws in
            try await ws.upgrade()
            for try await frame in ws.frames {
                try await ws.push("Hello \(frame.text)")
            }
        }
        server.handle("/") { request, response in
            response.end("<h1>Hello</h1>")
        }
        return server
    }

    static func urlSessionStyle() -> WebSocketServer {
        // A nested task with several statements, in a switch.
        func fetch(_ name: String) async throws -> String { "fetched \(name)" }
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessage { server, frame in
            switch frame.text {
            case "fetch":
                Task {
                    do {
                        let page = try await fetch("page")
                        server.push(page, to: frame.fd)
                    } catch {
                        server.push("failed: \(error)", to: frame.fd)
                    }
                }
            case let text where text.hasPrefix("say "):
                server.push(String(text.dropFirst(4)), to: frame.fd)
            default:
                server.push("what?", to: frame.fd)
            }
        }
        return server
    }
}
