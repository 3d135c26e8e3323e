import Glibc
import SwiftServer

/// Timers in processes that have none, and handlers that sleep until they are cancelled.
enum TimerScenario {
    @MainActor static func register(_ server: WebSocketServer) {
        printTimers(server, "before the start")
        server.onStart { server in
            printTimers(server, "onStart")
            print("ready \(server.port) \(getpid())")
        }
        server.onManagerStart { printTimers($0, "onManagerStart") }
        server.onWorkerStart { server, _ in printTimers(server, "onWorkerStart") }
        server.onMessage { server, frame in
            // A task that sleeps for longer than any test runs.
            let sleeper = Task.immediate {
                await server.sleep(for: .seconds(3600))
                return Task.isCancelled
            }
            sleeper.cancel()
            let wasCancelled = await sleeper.value
            server.push("cancelled \(wasCancelled)", to: frame.fd)
        }
    }

    @MainActor private static func printTimers(_ server: WebSocketServer, _ place: String) {
        let ids = [server.after(.seconds(3600)) {}, server.tick(every: .seconds(3600)) { _ in }]
        let valid = ids.map { $0 != .invalid }
        print("timers \(place): \(valid) \(ids.map { server.clearTimer($0) }) \(ids.map { server.clearTimer($0) })")
    }
}
