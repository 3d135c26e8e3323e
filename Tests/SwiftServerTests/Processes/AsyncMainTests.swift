import Glibc
import SwiftServer
import Testing

extension ProcessTests {
    /// A program that awaits something, before its server runs or after that, ends when the server has ended.
    @Suite struct AsyncMainTests {
        /// What `async-main` awaits.
        enum Variant: String, CaseIterable {
            case nothing, taskBefore, yieldAfter, detachedAfter, lastTask
        }

        private static let repetitions = 5

        private static func program(_ name: String) -> String {
            ServerProcess.program.replacing("test-server", with: name)
        }

        private func expectEnd(
            _ program: String, _ variant: String, _ mode: ServerMode, environment: [String] = [],
            _ words: [String] = []
        ) throws {
            try ServerProcess.run(
                variant, mode, environment: environment, program: AsyncMainTests.program(program)
            ) { server in
                let idle = try Connection(port: server.port)
                #expect(try idle.get("/").body == "hello")
                try server.stop()
                for word in words + ["returned"] {
                    #expect(server.lines.count { $0 == word } == 1, "\(word) in \(server.lines)")
                }
            }
        }

        @Test(arguments: ServerMode.allCases, Variant.allCases)
        func theProgramEnds(_ mode: ServerMode, _ variant: Variant) throws {
            let words: [String] =
                switch variant {
                case .taskBefore: ["the first task"]
                case .lastTask: ["the last task"]
                default: []
                }
            for _ in 0..<AsyncMainTests.repetitions {
                try expectEnd("async-main", variant.rawValue, mode, words)
            }
        }

        @Test(arguments: ServerMode.allCases)
        func theProgramEndsWithoutTheHook(_ mode: ServerMode) throws {
            for variant in Variant.allCases {
                try expectEnd("async-main", variant.rawValue, mode, environment: ["SWIFTSERVER_NO_EXECUTOR_HOOK=1"])
            }
        }

        @Test(arguments: ServerMode.allCases) func awaitAtTheTopLevel(_ mode: ServerMode) throws {
            for _ in 0..<AsyncMainTests.repetitions {
                try expectEnd("top-level-await", "", mode, ["the first task"])
            }
        }

        /// The main thread is lost to the program then, and signals reach another thread than the server's.
        @Test func awaitBeforeASingleProcess() throws {
            for _ in 0..<AsyncMainTests.repetitions { try expectEnd("async-main", "awaitBefore", .single) }
        }

        @Test(arguments: ServerMode.supervised) func awaitBeforeAFork(_ mode: ServerMode) throws {
            let server = try ServerProcess.runFailing(
                "awaitBefore", mode, program: AsyncMainTests.program("async-main"))
            #expect(server.end == .exit(0), "the error was caught")
            #expect(server.lines.count == 1)
            let message = try #require(server.lines.first)
            #expect(message.hasPrefix("error threadsRunning: "))
            #expect(message.contains("ServerMode.single"), "\(message)")
        }
    }
}
