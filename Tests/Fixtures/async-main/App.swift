// A server in a program whose `main` is asynchronous. Its configuration says what the program awaits, and when.
import Glibc
import SwiftServer
import TestProtocol

@main struct App {
    static func main() async throws {
        let configuration = try Configuration(arguments: CommandLine.arguments)
        let step = configuration.asyncStep
        let server = WebSocketServer(port: 0, mode: configuration.mode)
        alarm(60)  // should nobody stop it
        server.processName = "fixture"
        configuration.apply(to: server)
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        server.onRequest { _, response in response.end("hello") }
        server.onStart { server in
            Event.ready(port: server.port, pid: getpid(), ports: [server.port]).report()
            if step == .runCancelled { cancel() }
        }
        let last = Last()
        server.onShutdown { _ in last.task = Task { Event.lastTask.report() } }

        switch step {
        case .taskBefore: Task { @MainActor in Event.firstTask.report() }
        case .awaitBefore: await Task.detached {}.value
        default: break
        }
        do throws(ServerError) {
            switch step {
            case .run, .runCancelled: try await server.run()
            case .runCancelledBefore:
                cancel()
                try await server.run()
            default: try server.start()
            }
        } catch {
            Event.error(error.code, error.message).report()
            return
        }
        switch step {
        case .yieldAfter: await Task.yield()
        case .detachedAfter: await Task.detached {}.value
        case .lastTask: await last.task?.value
        default: break
        }
        Event.returned.report()
    }

    private static func cancel() { unsafe withUnsafeCurrentTask { unsafe $0?.cancel() } }
}

/// A task that was made while the server ran.
@MainActor final class Last {
    var task: Task<Void, Never>?
    nonisolated init() {}
}
