import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    @Suite struct TimerTests {
        /// Expects a report of two timers that exist or not, and so can be cleared once or not.
        private func expectTimers(_ server: ServerProcess, _ place: Event.Place, _ isValid: Bool) throws {
            let event = try server.event("timers \(place)") {
                if case .timers(place, _, _, _) = $0 { $0 } else { nil }
            }
            let both = [isValid, isValid]
            #expect(event == .timers(place, isValid: both, cleared: both, clearedAgain: [false, false]))
        }

        /// Master and manager have no timers, and the log names the handlers that do.
        @Test(arguments: ServerMode.supervised) func placesWithoutTimers(_ mode: ServerMode) throws {
            try ServerProcess.run(.timers, mode) { server in
                for (place, isValid) in [
                    (Event.Place.beforeStart, false), (.start, false), (.managerStart, false), (.workerStart, true),
                ] {
                    try expectTimers(server, place, isValid)
                }
                let errors = server.log.split(separator: "\n").filter { $0.contains(" error: ") }
                for (place, call) in [
                    ("before start()", "after(_:)"), ("before start()", "tick(every:)"),
                    ("master] error: cannot start a timer in the master (onStart, onShutdown)", "after(_:)"),
                    ("in the master (onStart, onShutdown)", "tick(every:)"),
                    ("in the manager (onManagerStart, onWorkerError)", "after(_:)"),
                ] {
                    let found = errors.filter { $0.contains("\(place): call \(call) in onWorkerStart, onTask") }
                    #expect(found.count == 1, "\(place) \(call) in \(errors)")
                }
                #expect(errors.count == 6)
            }
        }

        @Test func aSingleProcessHasTimersInOnStart() throws {
            try ServerProcess.run(.timers, .single) { server in
                try expectTimers(server, .start, true)
            }
        }

        @Test(arguments: ServerMode.allCases) func cancellationEndsASleep(_ mode: ServerMode) throws {
            try ServerProcess.run(.timers, mode) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                #expect(try client.ask(.sleepCancelled) == true)
                #expect(try client.ask(.sleepCancelled) == true)
            }
        }
    }
}
