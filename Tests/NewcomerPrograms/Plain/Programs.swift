// Events by name, and whole programs with an asynchronous main.
import SwiftServer

@MainActor enum Names {
    static func names() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.on("Open") { (server, request: Request) in
            server.push("open", to: request.fd)
        }
        server.on("message") { server, frame in server.push(frame, to: frame.fd) }
        server.on("close") { (server, fd: ConnectionID, reason: CloseReason) in print(reason) }
        server.on("Request") { request, response in
            response.end("by name")
        }
        server.on("workerStart") { (server, id: Int) in print(id) }
        server.on("ManagerStart") { server in print("manager") }
        return server
    }

    static func functionsByName() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.on("open", greet)
        server.on("message", echo)
        server.on("request", slowPage)
        return server
    }

    static func streamsByName() -> Server {
        let server = Server(port: 0, mode: .single)
        server.on("connect") { (server, fd: ConnectionID) in server.send("hello ", to: fd) }
        server.on("receive") { server, fd, bytes in server.send(bytes, to: fd) }
        let udp = server.listen(.udp)
        udp.on("packet") { (server, bytes: [UInt8], sender: SocketAddress) in server.send(bytes, to: sender) }
        return server
    }

    static func tasksByName() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.settings.taskWorkerCount = 1
        server.on("Task") { (server, task: ServerTask) in "done \(task.text)" }
        server.on("Finish") { (server, id: TaskID, result: [UInt8]) in print(id) }
        server.on("message") { (server, frame: Frame) in
            server.push(try await server.task(frame.text, timeout: .seconds(5)) ?? "nothing", to: frame.fd)
        }
        return server
    }

    static func misspelt() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.on("mesage") { (server, frame: Frame) in server.push(frame, to: frame.fd) }
        return server
    }
}

/// The whole of a program with `@main`.
struct AsyncMain {
    static func main() async throws {
        let server = WebSocketServer(port: 9501)
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        try await server.run()
    }
}

struct AsyncMainThatStarts {
    static func main() async throws {
        let server = WebSocketServer(port: 9501)
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        try server.start()
        print("the server has ended")
    }
}

struct SyncMain {
    @MainActor static func main() {
        let server = WebSocketServer(port: 9501)
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        server.serve()
    }
}

/// The protocol of swift-service-lifecycle.
protocol Service: Sendable {
    func run() async throws
}

extension Server: Service {}

func runServices(_ services: [any Service]) async throws {
    try await withThrowingTaskGroup(of: Void.self) { group in
        for service in services { group.addTask { try await service.run() } }
        try await group.next()
        group.cancelAll()
    }
}
