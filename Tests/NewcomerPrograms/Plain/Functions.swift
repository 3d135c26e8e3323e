// Handlers that are functions and methods.
import SwiftServer

func greet(_ server: WebSocketServer, _ request: Request) { server.push("Hello!", to: request.fd) }
func echo(_ server: WebSocketServer, _ frame: Frame) { server.push(frame, to: frame.fd) }
func echoBytes(_ server: Server, _ fd: ConnectionID, _ bytes: [UInt8]) { server.send(bytes, to: fd) }
@MainActor func page(_ request: Request, _ response: Response) { response.end("page \(request.path)") }
@MainActor func slowPage(_ request: Request, _ response: Response) async throws {
    guard request.path != "/error" else { throw Refused() }
    await Task.yield()
    response.end("slow page")
}
func work(_ server: Server, _ task: ServerTask) async throws -> String { "done" }

@MainActor final class ChatController {
    private var members: [ConnectionID] = []
    private let server: WebSocketServer

    init(_ server: WebSocketServer) {
        self.server = server
        server.onOpen(opened)
        server.onMessage(received)
        server.onClose(closed)
        server.onRequest(index)
    }

    func opened(_ server: WebSocketServer, _ request: Request) { members.append(request.fd) }

    func received(_ server: WebSocketServer, _ frame: Frame) async throws {
        guard !frame.text.isEmpty else { throw Refused() }
        for member in members { server.push(frame.text, to: member) }
    }

    func closed(_ server: WebSocketServer, _ fd: ConnectionID, _ reason: CloseReason) {
        members.removeAll { $0 == fd }
    }

    func index(_ request: Request, _ response: Response) { response.end("\(members.count) members") }
}

final class ChatServer: WebSocketServer, @unchecked Sendable {
    @MainActor var messages = 0

    @MainActor func register() {
        onMessage { server, frame in
            server.messages += 1
            server.push("message \(server.messages)", to: frame.fd)
        }
    }
}

@MainActor enum Functions {
    static func functions() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onOpen(greet)
        server.onMessage(echo)
        server.onRequest(page)
        return server
    }

    static func asynchronousFunctions() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.settings.logLevel = .none
        server.onMessage(echo)
        server.onRequest(slowPage)
        return server
    }

    static func localFunctions() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        var count = 0
        func received(_ server: WebSocketServer, _ frame: Frame) {
            count += 1
            server.push("\(count)", to: frame.fd)
        }
        func answer(_ request: Request, _ response: Response) async throws { response.end("\(count)") }
        server.onMessage(received)
        server.onRequest(answer)
        return server
    }

    static func controller() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        _ = ChatController(server)
        return server
    }

    static func subclass() -> ChatServer {
        let server = ChatServer(port: 0, mode: .single)
        server.register()
        return server
    }

    static func streamFunction() -> Server {
        let server = Server(port: 0, mode: .single)
        server.onReceive(echoBytes)
        return server
    }

    static func taskFunction() -> Server {
        let server = Server(port: 0, mode: .single)
        server.settings.taskWorkerCount = 1
        server.onTask(work)
        server.onReceive { server, fd, _ in
            let result = try await server.task("work", timeout: .seconds(5))
            server.send(result ?? "nothing", to: fd)
        }
        return server
    }
}
