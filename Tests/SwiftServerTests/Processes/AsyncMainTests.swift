import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// A program that awaits something, before its server runs or after that, ends when the server has ended.
    @Suite struct AsyncMainTests {
        private static let repetitions = 5
        static let steps = AsyncStep.allCases.filter {
            ![.awaitBefore, .runCancelled, .runCancelledBefore].contains($0)
        }

        private static func program(_ name: String) -> String {
            ServerProcess.program.replacing("test-server", with: name)
        }

        private func expectEnd(
            _ program: String, _ step: AsyncStep, _ mode: ServerMode, environment: [String] = [],
            _ events: [Event] = []
        ) throws {
            try ServerProcess.run(
                .general, mode, environment: environment, program: AsyncMainTests.program(program)
            ) {
                $0.asyncStep = step
            } test: { server in
                let idle = try Connection(port: server.port)
                #expect(try idle.get("/").body == "hello")
                try server.stop()
                for event in events + [.returned] {
                    #expect(server.events.count { $0 == event } == 1, "\(event) in \(server.lines)")
                }
            }
        }

        @Test(arguments: ServerMode.allCases, AsyncMainTests.steps)
        func theProgramEnds(_ mode: ServerMode, _ step: AsyncStep) throws {
            let events: [Event] =
                switch step {
                case .taskBefore: [.firstTask]
                case .lastTask: [.lastTask]
                default: []
                }
            for _ in 0..<AsyncMainTests.repetitions {
                try expectEnd("async-main", step, mode, events)
            }
        }

        @Test(arguments: ServerMode.allCases)
        func theProgramEndsWithoutTheHook(_ mode: ServerMode) throws {
            for step in AsyncMainTests.steps {
                try expectEnd("async-main", step, mode, environment: ["SWIFTSERVER_NO_EXECUTOR_HOOK=1"])
            }
        }

        @Test(arguments: ServerMode.allCases) func awaitAtTheTopLevel(_ mode: ServerMode) throws {
            for _ in 0..<AsyncMainTests.repetitions {
                try expectEnd("top-level-await", .nothing, mode, [.firstTask])
            }
        }

        /// The main thread is lost to the program then, and signals reach another thread than the server's.
        @Test func awaitBeforeASingleProcess() throws {
            for _ in 0..<AsyncMainTests.repetitions { try expectEnd("async-main", .awaitBefore, .single) }
        }

        @Test(arguments: ServerMode.supervised) func awaitBeforeAFork(_ mode: ServerMode) throws {
            let server = try ServerProcess.runFailing(
                .general, mode, program: AsyncMainTests.program("async-main")
            ) {
                $0.asyncStep = .awaitBefore
            }
            #expect(server.end == .exit(0), "the error was caught")
            #expect(server.lines.count == 1)
            let (code, message) = try server.onlyError()
            #expect(code == .threadsRunning && message.contains("ServerMode.single"), "\(message)")
        }

        /// A cancelled `run()` stops the server in order.
        @Test(arguments: ServerMode.allCases) func cancellation(_ mode: ServerMode) throws {
            for _ in 0..<AsyncMainTests.repetitions {
                let server = try ServerProcess.runFailing(
                    .general, mode, program: AsyncMainTests.program("async-main")
                ) { $0.asyncStep = .runCancelled }
                #expect(server.end == .exit(0) && server.running.isEmpty)
                let kinds = server.reports.map(\.kind).filter { $0 != .lastTask }
                #expect(kinds == [.ready, .returned], "\(server.lines)")
            }
        }

        @Test(arguments: ServerMode.allCases) func cancellationBeforeTheStart(_ mode: ServerMode) throws {
            let server = try ServerProcess.runFailing(
                .general, mode, program: AsyncMainTests.program("async-main")
            ) { $0.asyncStep = .runCancelledBefore }
            #expect(server.end == .exit(0) && server.reports.map(\.kind) == [.returned])
        }
    }
}
