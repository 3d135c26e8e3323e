import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Servers in the background, and the file that says where they are.
    @Suite struct DaemonTests {
        private func parents(_ client: WebSocketClient) throws -> Parents { try client.ask(.parents) }

        /// Checklist: daemon, deamon.
        @Test(arguments: ServerMode.supervised) func daemonServesWhenItsStarterHasEnded(_ mode: ServerMode) throws {
            try Daemon.run(mode, workers: 2) { daemon in
                #expect(daemon.starter.events == [.beforeStart] && daemon.starter.lines.count == 1)
                #expect(daemon.starter.log.isEmpty)
                #expect(daemon.pid != daemon.starter.pid)
                #expect(daemon.group != daemon.starter.pid)
                let client = try WebSocketClient(port: daemon.port)
                #expect(try client.ask("hello") == "hello")
                #expect(try parents(client).master == daemon.pid)
                #expect(daemon.running.count == 4)
                for process in daemon.running {
                    #expect(ProcessTable.link(process, "cwd") == "/")
                    #expect(ProcessTable.link(process, "fd/0") == "/dev/null")
                    for output in 1...2 {
                        #expect(ProcessTable.link(process, "fd/\(output)") == daemon.folder.file("log"))
                    }
                }
                #expect(daemon.log.contains("notice: listening on "))
                #expect(daemon.events.contains { if case .workerStart(0, _) = $0 { true } else { false } })
                client.connection.disconnect()
            }
        }

        @Test func outputFollowsTheLogFile() throws {
            try Daemon.run(.process) { daemon in
                let client = try WebSocketClient(port: daemon.port)
                daemon.folder.rename("log", to: "log.1")
                kill(daemon.pid, SIGHUP)
                try Wait.until("output in the new file") {
                    let _: Bool = try client.ask(.printLines(1, "something"))
                    return daemon.log.contains("line 0 0 something")
                }
                client.connection.disconnect()
            }
        }

        @Test func oneProcessCanBeInTheBackground() throws {
            try Daemon.run(.single) { daemon in
                #expect(daemon.running == [daemon.pid])
                let client = try WebSocketClient(port: daemon.port)
                daemon.folder.rename("log", to: "log.1")
                kill(daemon.pid, SIGHUP)
                kill(daemon.pid, SIGIO)
                try Wait.until("a line in the new file") { daemon.log.contains("[\(daemon.pid) server] notice: ") }
                #expect(try client.ask("hello") == "hello")
                client.connection.disconnect()
            }
        }

        @Test func withoutALogFileOutputGoesNowhere() throws {
            let folder = try Folder()
            let starter = try ServerProcess.runFailing(.general, .process) {
                $0.daemonize = true
                $0.pidFile = folder.file("pid")
            }
            #expect(starter.end == .exit(0))
            let pid = try #require(Int32(folder.text("pid").dropLast()))
            for descriptor in 0...2 { #expect(ProcessTable.link(pid, "fd/\(descriptor)") == "/dev/null") }
            kill(pid, SIGTERM)
            try Wait.until("the end of \(pid)") { !ProcessTable.isRunning(pid) }
            #expect(!folder.exists("pid"))
        }

        @Test(arguments: ServerMode.supervised) func errorsOfTheStartAreReported(_ mode: ServerMode) throws {
            let user = try PortUser(shared: false)
            let busy = try ServerProcess.runFailing(.general, mode) {
                $0.daemonize = true
                $0.port = user.port
            }
            #expect(busy.end == .exit(3))
            #expect(try busy.onlyError().code == .bindFailed, "an error of start(), as in the foreground")
            let folder = try Folder()
            let crashed = try ServerProcess.runFailing(.crashing, mode) {
                $0.daemonize = true
                $0.logFile = folder.file("log")
                $0.pidFile = folder.file("pid")
            }
            #expect(crashed.end == .exit(1))
            #expect(crashed.log == "the server ended before it was ready\n")
            #expect(folder.text("log").contains("on purpose"))
        }

        /// Checklist: pid_file.
        @Test(arguments: ServerMode.supervised) func pidFileIsThereWhileTheServerRuns(_ mode: ServerMode) throws {
            let folder = try Folder()
            try ServerProcess.run(.general, mode, workers: 2, { $0.pidFile = folder.file("pid") }) { server in
                #expect(folder.text("pid") == "\(server.pid)\n")
                let second = try ServerProcess.runFailing(.general, mode) { $0.pidFile = folder.file("pid") }
                #expect(second.end == .exit(3))
                let (code, message) = try second.onlyError()
                #expect(code == .pidFile)
                #expect(message.contains("pid \(server.pid) "))
                #expect(message.contains(folder.file("pid")))
                #expect(try WebSocketClient(port: server.port).ask("hello") == "hello")
                try server.stop()
                #expect(!folder.exists("pid"))
            }
        }

        @Test(arguments: ServerMode.supervised) func fileOfAKilledServerIsTakenOver(_ mode: ServerMode) throws {
            let folder = try Folder()
            try ServerProcess.run(.general, mode, workers: 2, { $0.pidFile = folder.file("pid") }) { server in
                server.signal(SIGKILL)
                try server.waitForEnd()
                #expect(folder.text("pid") == "\(server.pid)\n")
                // As soon as the master is gone, whatever is still left of its children.
                try ServerProcess.run(.general, mode, { $0.pidFile = folder.file("pid") }) { next in
                    #expect(folder.text("pid") == "\(next.pid)\n")
                }
                #expect(!folder.exists("pid"))
            }
        }

        /// One that the master starts later has the log, may ask for a stop, and does not hold the PID file's lock.
        @Test func anotherManagerHasWhatItNeedsAndNoMore() throws {
            let folder = try Folder()
            try ServerProcess.run(.general, .process) {
                $0.pidFile = folder.file("pid")
                $0.logFile = folder.file("log")
            } test: { server in
                try server.workerStart(0)
                server.signal(SIGKILL, to: try server.process("manager"))
                let worker = try server.workerStart(0, 2)
                let client = try WebSocketClient(port: server.port)
                #expect(try parents(client).master == server.pid)
                let manager = try server.process("manager")
                for process in [manager, worker] {
                    let files = ProcessTable.files(process)
                    #expect(files.contains(folder.file("log")))
                    #expect(!files.contains(folder.file("pid")))
                }
                #expect(ProcessTable.files(server.pid).contains(folder.file("pid")))
                server.signal(SIGIO, to: worker)
                try Wait.until("a line by the new worker") { folder.text("log").contains("[\(worker) worker 0]") }
                try client.send(.shutdown)
                client.connection.disconnect()
                #expect(try server.waitForEnd() == .exit(0))
            }
        }

        @Test func pidFileThatCannotBeWrittenIsAnError() throws {
            let server = try ServerProcess.runFailing(.general, .process) { $0.pidFile = "/no-such-folder/pid" }
            #expect(server.end == .exit(3))
            let message = "cannot write the PID file \"/no-such-folder/pid\": No such file or directory"
            #expect(server.events == [.beforeStart, .error(.pidFile, message)] && server.lines.count == 2)
        }

        @Test func failedStartLeavesNoPIDFile() throws {
            let folder = try Folder()
            let user = try PortUser(shared: false)
            folder.write("4711\n", to: "pid")
            let server = try ServerProcess.runFailing(.general, .process) {
                $0.pidFile = folder.file("pid")
                $0.port = user.port
            }
            #expect(try server.onlyError().code == .bindFailed)
            #expect(!folder.exists("pid"))
        }
    }
}
