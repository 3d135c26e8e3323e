import SwiftServer
import Testing

extension ProcessTests {
    @Suite struct TimerTests {
        /// Master and manager have no timers, and the log names the handlers that do.
        @Test(arguments: ServerMode.supervised) func placesWithoutTimers(_ mode: ServerMode) throws {
            try ServerProcess.run("timers", mode) { server in
                let none = "[false, false] [false, false] [false, false]"
                #expect(try server.line("timers before the start:") == "timers before the start: \(none)")
                #expect(try server.line("timers onStart:") == "timers onStart: \(none)")
                #expect(try server.line("timers onManagerStart:") == "timers onManagerStart: \(none)")
                let worker = try server.line("timers onWorkerStart:")
                #expect(worker == "timers onWorkerStart: [true, true] [true, true] [false, false]")
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
            try ServerProcess.run("timers", .single) { server in
                let line = try server.line("timers onStart:")
                #expect(line == "timers onStart: [true, true] [true, true] [false, false]")
            }
        }

        @Test(arguments: ServerMode.allCases) func cancellationEndsASleep(_ mode: ServerMode) throws {
            try ServerProcess.run("timers", mode) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                #expect(try client.ask("x") == "cancelled true")
                #expect(try client.ask("x") == "cancelled true")
            }
        }
    }
}
