import TestProtocol
import Testing

@testable import SwiftServer

extension ProcessTests {
    /// Timers in programs without a server.
    @Suite struct LoopTests {
        private static let program = ServerProcess.program.replacing("test-server", with: "timer-script")

        /// Rows L1 to L4, L8 and L10, and calls in the wrong places.
        @Test func aScriptEndsWithItsLastTimer() throws {
            let script = try ServerProcess.runFailing(program: LoopTests.program)
            #expect(script.end == .exit(0), "\(script.log)")
            #expect(
                script.lines == [
                    "cleared true false", "invalid true",
                    "alreadyStarted", "cannot start a server inside Loop.run(): start it after that returned",
                    "round 1", "round 2", "round 3", "round 4", "round 5", "cleared true false", "slept", "returned",
                ])
            #expect(
                script.log.contains("the interval of tick(every:) must be 1 ms or more, got 0.0 seconds"),
                "\(script.log)")
        }

        /// Timers of a script before and after a server, and of the server.
        @Test func aServerBetweenScripts() throws {
            let script = try ServerProcess.runFailing(environment: ["TIMERS=server"], program: LoopTests.program)
            #expect(script.end == .exit(0), "\(script.log)")
            // The master and the worker start at the same time.
            #expect(script.lines.contains("master true"))
            #expect(
                script.lines.filter { $0 != "master true" } == [
                    "before the server", "alreadyStarted", "worker true false", "in the worker",
                    "after the server", "end",
                ])
            for line in [
                "1 pending timer of Loop cannot fire while the server runs",
                "cannot start a timer in the master or the manager: call Loop.after(_:) in onWorkerStart",
            ] { #expect(script.log.contains(line), "\(script.log)") }
        }

        @Test @MainActor func timersOfASingleProcess() throws {
            let server = HTTPServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.onRequest { _, response in response.end() }
            var rounds = 0
            var isIndependent = false
            server.onWorkerStart { server, _ in
                Loop.tick(every: .milliseconds(1)) { id in
                    rounds += 1
                    guard rounds == 3 else { return }
                    Loop.clearTimer(id)
                    let one = Loop.after(.seconds(3600)) {}
                    let other = server.after(.seconds(3600)) {}
                    isIndependent = one != other && Loop.clearTimer(other) && server.clearTimer(one)
                    server.shutdown()
                }
            }
            try server.start()
            #expect(rounds == 3 && isIndependent)
        }

        @Test @MainActor func withoutTimersTheLoopReturnsAtOnce() throws {
            try Loop.run()
            var order: [Int] = []
            Loop.after(.milliseconds(2)) { order.append(2) }
            Loop.after(.zero) { order.append(1) }
            Loop.after(.seconds(-1)) { order.append(0) }
            try Loop.run()
            try Loop.run()
            #expect(Set(order) == [0, 1, 2] && order.last == 2)
        }

        @Test @MainActor func clientsOutliveTheLoopOfAScript() throws {
            var loops: [ClientLoop] = []
            Loop.after(.zero) { loops.append(try ClientLoop.current()) }
            try Loop.run()
            loops.append(try ClientLoop.current())
            #expect(loops.count == 2 && loops.first === loops.last)
        }

        @Test @MainActor func aCancelledSleepEndsTheLoop() async throws {
            var wasCancelled = false
            var task: Task<Void, Never>?
            Loop.after(.zero) {
                task = Task {
                    await Loop.sleep(for: .seconds(3600))
                    wasCancelled = Task.isCancelled
                }
                Loop.after(.milliseconds(1)) { task?.cancel() }
            }
            try Loop.run()
            await task?.value
            #expect(wasCancelled)
        }
    }
}
