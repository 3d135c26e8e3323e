// Programs in a package whose target has `.defaultIsolation(MainActor.self)`: nothing needs an annotation.
import SwiftServer

struct Refused: Error {}

var visitors = 0
var names: [ConnectionID: String] = [:]

func nextName() -> String {
    visitors += 1
    return "guest \(visitors)"
}

func opened(_ server: WebSocketServer, _ request: Request) { names[request.fd] = nextName() }

func received(_ server: WebSocketServer, _ frame: Frame) async throws {
    guard let name = names[frame.fd] else { throw Refused() }
    await server.sleep(for: .milliseconds(1))
    server.push("\(name): \(frame.text)", to: frame.fd)
}

func page(_ request: Request, _ response: Response) throws {
    guard request.path == "/" else { throw Refused() }
    response.end("\(visitors > 0)")
}

func work(_ server: WebSocketServer, _ task: ServerTask) -> String { task.text.uppercased() }

final class Controller {
    private var count = 0

    func index(_ request: Request, _ response: Response) {
        count += 1
        response.end("request \(count)")
    }

    func message(_ server: WebSocketServer, _ frame: Frame) {
        count += 1
        server.push("message \(count)", to: frame.fd)
    }
}

final class Application {
    let server = WebSocketServer(port: 0, mode: .single)
    private let controller = Controller()
    private var log: [String] = []

    init() {
        server.onRequest(controller.index)
        server.onMessage(controller.message)
        server.onClose { _, fd, reason in self.log.append("\(fd): \(reason)") }
        server.onOpen { [self] _, request in log.append("\(request.fd) is here") }
    }
}

@concurrent func sum(_ limit: Int) async -> Int { (0...limit).reduce(0, +) }

/// A room whose state the handlers share.
final class Room {
    private var members: Set<ConnectionID> = []

    func join(_ fd: ConnectionID) { members.insert(fd) }
    func leave(_ fd: ConnectionID) { members.remove(fd) }
    func say(_ text: String, on server: WebSocketServer) {
        for member in members { server.push(text, to: member) }
    }
}

enum Programs {
    static func functions() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.settings.logLevel = .none
        server.onOpen(opened)
        server.onMessage(received)
        server.onRequest(page)
        return server
    }

    static func room() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        let room = Room()
        server.onOpen { _, request in room.join(request.fd) }
        server.onMessage { server, frame in room.say(frame.text, on: server) }
        server.onClose { _, fd, _ in room.leave(fd) }
        return server
    }

    static func localFunctions() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        func answer(_ text: String) -> String { "you said \(text)" }
        func received(_ server: WebSocketServer, _ frame: Frame) throws {
            server.push(answer(frame.text), to: frame.fd)
        }
        server.onMessage(received)
        return server
    }

    static func functionsInHandlers() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessage { server, frame in
            func reply(_ text: String) {
                server.push(text, to: frame.fd)
            }
            if frame.text == "later" {
                Task {
                    await server.sleep(for: .milliseconds(1))
                    reply("later")
                }
            } else {
                reply("now")
            }
        }
        return server
    }

    static func streams() -> Server {
        let server = Server(port: 0, mode: .single)
        var total = 0
        server.onReceive { server, fd, bytes in
            total += bytes.count
            server.send("\(total)", to: fd)
        }
        return server
    }

    static func tasks() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.settings.taskWorkerCount = 1
        server.onTask(work)
        server.onMessage { server, frame in
            do {
                let result = try await server.task(frame.text, timeout: .seconds(5))
                server.push(result ?? "nothing", to: frame.fd)
            } catch {
                server.push("\(error)", to: frame.fd)
            }
        }
        return server
    }

    static func tasksWithoutResults() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.settings.taskWorkerCount = 1
        var results = 0
        server.onTask { _, task in
            task.finish("50 %")
            task.finish("100 %")
        }
        server.onFinish { server, _, result in
            results += 1
            if results == 2 { server.broadcast(String(decoding: result, as: UTF8.self)) }
        }
        server.onMessage { server, frame in server.task(frame.text) }
        return server
    }

    static func straightLine() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.handle("/count") { _, ws in
            try await ws.upgrade()
            var count = 0
            while let frame = try await ws.recv() {
                count += 1
                try await ws.push("\(count): \(frame.text)")
            }
        }
        return server
    }

    static func names() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.on("OPEN", opened)
        server.on("Message") { (server, frame: Frame) in
            try await received(server, frame)
        }
        return server
    }

    static func concurrentWork() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessage { server, frame in
            async let first = sum(10)
            async let second = sum(20)
            server.push("\(await first + second)", to: frame.fd)
        }
        return server
    }
}

/// The whole of a program with `@main`.
struct AsyncMain {
    static func main() async throws {
        let application = Application()
        try await application.server.run()
    }
}
