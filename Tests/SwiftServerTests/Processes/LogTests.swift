import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// What the server says of itself, and where.
    @Suite struct LogTests {
        @Test(arguments: ServerMode.supervised) func linesSayWhoAndWhat(_ mode: ServerMode) throws {
            let folder = try Folder()
            try ServerProcess.run(.general, mode, workers: 2, { $0.logFile = folder.file("log") }) { server in
                let manager = try server.process("manager")
                let worker = try server.workerStart(1)
                for process in [server.pid, manager, worker] { server.signal(SIGIO, to: process) }
                for who in ["\(server.pid) master", "\(manager) manager", "\(worker) worker 1"] {
                    try Wait.until("a line by \(who)") {
                        folder.text("log").split(separator: "\n").contains {
                            $0.contains("Z [\(who)] notice: ") && $0.contains("ignores signal \(SIGIO)")
                        }
                    }
                }
                #expect(server.log.isEmpty)
            }
            let lines = folder.text("log").split(separator: "\n")
            #expect(lines.allSatisfy { $0.wholeMatch(of: /\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ \[\d+ .*\] \w+: .*/) != nil })
        }

        @Test(arguments: LogLevel.allCases) func levelsHideWhatIsBelow(_ level: LogLevel) throws {
            try ServerProcess.run(.general, .process) {
                $0.logLevel = level
                $0.shutdownTimeout = .milliseconds(100)
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.block(.seconds(60)))
                try server.event(.blocked)
                server.signal(SIGTERM)
                try server.waitForEnd()
                let log = server.log
                #expect(log.contains(" debug: ") == (level <= .debug))
                #expect(log.contains(" notice: ") == (level <= .notice))
                #expect(log.contains(" warning: ") == (level <= .warning))
                #expect(log.isEmpty == (level >= .error))
            }
        }

        /// As a program that rotates logs does: rename, then SIGHUP to the master.
        @Test(arguments: ServerMode.supervised) func everyProcessReopensTheFile(_ mode: ServerMode) throws {
            let folder = try Folder()
            try ServerProcess.run(.general, mode) {
                $0.logFile = folder.file("log")
                $0.logLevel = .debug
            } test: { server in
                let worker = try server.workerStart(0)
                let processes = [server.pid, try server.process("manager"), worker]
                folder.rename("log", to: "log.1")
                server.signal(SIGHUP)
                try Wait.until("the end of the old file") {
                    folder.text("log.1").contains("\(worker) worker 0] debug: signal Hangup") && folder.exists("log")
                }
                for process in processes {
                    try Wait.until("a line by \(process) in the new file") {
                        server.signal(SIGIO, to: process)
                        return folder.text("log").contains("[\(process) ")
                    }
                }
                #expect(!folder.text("log.1").contains("ignores signal"))
            }
        }

        @Test func fileThatCannotBeReopenedLeavesTheOldOne() throws {
            let folder = try Folder()
            let inner = folder.file("inner")
            unsafe mkdir(inner, 0o755)
            try ServerProcess.run(.general, .process, { $0.logFile = "\(inner)/log" }) { server in
                folder.rename("inner", to: "away")
                server.signal(SIGHUP)
                try Wait.until("the complaint") {
                    folder.text("away/log").contains("cannot write the log file \"\(inner)/log\": ")
                }
                #expect(try WebSocketClient(port: server.port).ask("hello") == "hello")
            }
        }

        @Test(arguments: ["", "/there-is-no-such-folder/log", "/"])
        func fileThatCannotBeWrittenIsAnError(_ path: String) throws {
            let server = try ServerProcess.runFailing(.general, .process) { $0.logFile = path }
            #expect(server.end == .exit(3))
            let (code, message) = try server.onlyError()
            #expect(code == .system)
            #expect(message.hasPrefix("cannot write the log file \"\(path.isEmpty ? "/" : path)"), "\(message)")
            #expect(server.log.isEmpty)
        }
    }
}
