import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// A log that nobody reads must not hold up the server.
    @Suite struct SlowLogTests {
        /// A pipe of the smallest size, which a server has as its standard error or opens as its log file.
        private final class SmallPipe {
            private var ends: [Int32] = [-1, -1]

            init() throws {
                guard unsafe pipe(&ends) == 0 else { throw SystemError("making a pipe") }
                for end in ends { _ = fcntl(end, F_SETFD, FD_CLOEXEC) }
                _ = fcntl(ends[0], F_SETFL, O_NONBLOCK)
                let setPipeSize: Int32 = 1031  // F_SETPIPE_SZ
                _ = fcntl(ends[1], setPipeSize, 4096)
            }

            deinit { for end in ends { close(end) } }

            var path: String { "/proc/\(getpid())/fd/\(ends[1])" }
            /// Runs a server with this pipe as its standard error.
            var runner: [String] { ["/bin/sh", "-c", "exec \"$@\" 2>\(path)", "sh"] }

            /// Reads until the text has come.
            func read(until text: String) throws -> String {
                var bytes: [UInt8] = []
                try Wait.until("\"\(text)\" in the log") {
                    var buffer = [UInt8](repeating: 0, count: 4096)
                    let count = unsafe buffer.withUnsafeMutableBytes {
                        unsafe Glibc.read(ends[0], $0.baseAddress, $0.count)
                    }
                    if count > 0 { bytes += buffer[..<count] }
                    return String(decoding: bytes, as: UTF8.self).contains(text)
                }
                return String(decoding: bytes, as: UTF8.self)
            }
        }

        @Test(arguments: ServerMode.supervised) func aServerGoesOnWhileNobodyReadsItsLog(_ mode: ServerMode) throws {
            let log = try SmallPipe()
            try ServerProcess.run(.general, mode, workers: 2, runner: log.runner, { $0.logLevel = .debug }) { server in
                for count in 1...12 {
                    server.signal(SIGUSR1)
                    try server.workerStart(1, count + 1)
                }
                let worker = try server.process("worker 0")
                server.signal(SIGKILL, to: worker)
                try server.workerStart(0, 14)
                #expect(try WebSocketClient(port: server.port).ask("hello") == "hello")
                try server.stop()
            }
        }

        @Test func droppedLinesAreCounted() throws {
            let log = try SmallPipe()
            try ServerProcess.run(.noisy, runner: log.runner) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("3000") == "logged")
                let text = try log.read(until: " log lines were dropped")
                #expect(text.contains(/worker 0\] warning: \d+ log lines were dropped\n/))
                #expect(try client.ask("1") == "logged")
                _ = try log.read(until: "message 0")
            }
        }

        /// The reader is back before the limit was reached: nothing is lost, although nothing more is logged.
        @Test func bufferedLinesAreWrittenWhenTheReaderIsBack() throws {
            let log = try SmallPipe()
            try ServerProcess.run(.noisy, runner: log.runner) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("300") == "logged")
                let text = try log.read(until: "message 299\n")
                #expect((0..<300).allSatisfy { text.contains("message \($0)\n") })
                #expect(!text.contains("dropped"))
            }
        }

        @Test(arguments: [true, false]) func aPipeAsLogFileIsNoObstacle(_ hasReader: Bool) throws {
            let folder = try Folder()
            unsafe mkfifo(folder.file("log"), 0o600)
            let reader = hasReader ? unsafe open(folder.file("log"), O_RDONLY | O_NONBLOCK | O_CLOEXEC) : -1
            defer { if reader >= 0 { close(reader) } }
            try ServerProcess.run(.noisy, .process, { $0.logFile = folder.file("log") }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("3000") == "logged")
                server.signal(SIGHUP)
                #expect(try client.ask("1") == "logged")
            }
        }

        // MARK: Statistics

        @Test func nothingStaysBesideTheStatistics() throws {
            let folder = try Folder()
            unsafe mkfifo(folder.file("stats.new"), 0o600)  // a file that has taken the place of the draft
            try ServerProcess.run(.general, .process, { $0.statsFile = folder.file("stats") }) { server in
                #expect(folder.text("stats").contains("connections: 0"))
            }
            #expect(!folder.exists("stats.new"))
        }

        @Test(arguments: [Scenario.general, .fullDisk])
        func statisticsThatCannotBeWrittenLeaveNothing(_ scenario: Scenario) throws {
            let folder = try Folder()
            let isPipe = scenario == .general
            if isPipe { unsafe mkfifo(folder.file("stats"), 0o600) }
            let server = try ServerProcess.runFailing(scenario, .process) { $0.statsFile = folder.file("stats") }
            #expect(server.end == .exit(3))
            #expect(server.events(.error).count == 1)
            #expect(!folder.exists("stats.new"))
            #expect(folder.exists("stats") == isPipe)
        }
    }
}
