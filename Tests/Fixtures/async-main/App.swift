// A server in a program whose `main` is asynchronous. `async-main VARIANT name=value...`: the variant says what the
// program awaits, and when.
import Glibc
import SwiftServer

@main struct App {
    static func main() async {
        let arguments = CommandLine.arguments
        let variant = arguments.count > 1 ? arguments[1] : ""
        let mode = arguments.first { $0.hasPrefix("mode=") }?.dropFirst(5) ?? "process"
        let server = WebSocketServer(port: 0, mode: ServerMode(rawValue: String(mode)) ?? .process)
        alarm(60)  // should nobody stop it
        server.processName = "fixture"
        server.settings.workerCount = 1
        server.settings.closeTimeout = .milliseconds(100)
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        server.onRequest { _, response in response.end("hello") }
        server.onStart { print("ready \($0.port) \(getpid())") }
        let last = Last()
        server.onShutdown { _ in last.task = Task { print("the last task") } }

        switch variant {
        case "taskBefore": Task { @MainActor in print("the first task") }
        case "awaitBefore": await Task.detached {}.value
        default: break
        }
        do throws(ServerError) { try server.start() } catch {
            print("error \(error.code): \(error.message)")
            return
        }
        switch variant {
        case "yieldAfter": await Task.yield()
        case "detachedAfter": await Task.detached {}.value
        case "lastTask": await last.task?.value
        default: break
        }
        print("returned")
    }
}

/// A task that was made while the server ran.
@MainActor final class Last {
    var task: Task<Void, Never>?
    nonisolated init() {}
}
