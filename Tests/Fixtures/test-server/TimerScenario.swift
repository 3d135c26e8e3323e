import Glibc
import SwiftServer
import TestProtocol

/// Timers in processes that have none, and handlers that sleep until they are cancelled.
enum TimerScenario {
    @MainActor static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        reportTimers(server, .beforeStart)
        server.onStart { server in
            reportTimers(server, .start)
            Scenarios.reportReady(server, configuration)
        }
        server.onManagerStart { reportTimers($0, .managerStart) }
        server.onWorkerStart { server, _ in reportTimers(server, .workerStart) }
        server.onMessage { server, frame in
            // A task that sleeps for longer than any test runs.
            let sleeper = Task.immediate {
                await server.sleep(for: .seconds(3600))
                return Task.isCancelled
            }
            sleeper.cancel()
            let wasCancelled = await sleeper.value
            server.answer(wasCancelled, to: frame.fd)
        }
    }

    @MainActor private static func reportTimers(_ server: WebSocketServer, _ place: Event.Place) {
        let ids = [server.after(.seconds(3600)) {}, server.tick(every: .seconds(3600)) { _ in }]
        let valid = ids.map { $0 != .invalid }
        Event.timers(
            place, isValid: valid, cleared: ids.map { server.clearTimer($0) },
            clearedAgain: ids.map { server.clearTimer($0) }
        ).report()
    }
}
