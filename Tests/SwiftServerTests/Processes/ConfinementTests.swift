import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// As whom, where and on which CPUs handlers run.
    @Suite struct ConfinementTests {
        static let isRoot: ConditionTrait = .enabled("switching the user needs root") { geteuid() == 0 }

        /// Real, effective, saved and that of files.
        private func users(_ pid: Int32) -> String? { ProcessTable.status(pid, "Uid") }

        /// Checklist: single_thread/user_setting.
        @Test(isRoot, arguments: ServerMode.supervised) func workersRunAsAnotherUser(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2, { $0.user = "nobody" }) { server in
                let manager = try server.process("manager")
                for process in [server.pid, manager] { #expect(users(process) == "0 0 0 0") }
                for round in 1...2 {
                    let workers = try (0..<2).map { try server.workerStart($0, round) }
                    for worker in workers {
                        #expect(users(worker) == "65534 65534 65534 65534")
                        #expect(ProcessTable.status(worker, "Gid") == "65534 65534 65534 65534")
                        #expect(ProcessTable.status(worker, "Groups") == "65534")
                        #expect(ProcessTable.status(worker, "CapPrm") == "0000000000000000")
                    }
                    if round == 1 { server.signal(SIGUSR1) }
                }
                try Wait.until("the end of the reload") { server.log.contains("all workers are reloaded") }
                let client = try WebSocketClient(port: server.port)
                try client.send(.shutdown)
                client.connection.disconnect()
                #expect(try server.waitForEnd() == .exit(0))
            }
        }

        @Test(isRoot, arguments: ServerMode.supervised) func workersWithAnotherUserDieWithTheirParent(
            _ mode: ServerMode
        )
            throws
        {
            try ServerProcess.run(.general, mode, workers: 2, { $0.user = "nobody" }) { server in
                try server.workerStart(1)
                server.signal(SIGKILL)
                try server.waitForEnd()
                try Wait.until("the end of \(server.running)") { server.running.isEmpty }
            }
        }

        @Test(isRoot, arguments: ServerMode.supervised) func everyRoleRunsAsAnotherUser(_ mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1) {
                $0.process = .idle
                $0.user = "nobody"
            } test: { server in
                for name in ["worker 0", "task worker 1", "helper 0"] {
                    let process = try server.process(name)
                    try Wait.until("another user for \(name)") { users(process) == "65534 65534 65534 65534" }
                }
                let client = try WebSocketClient(port: server.port)
                client.connection.disconnect()
            }
        }

        @Test(isRoot, arguments: ServerMode.supervised) func groupAloneChangesTheGroup(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, { $0.group = "65534" }) { server in
                let worker = try server.workerStart(0)
                #expect(users(worker) == "0 0 0 0")
                #expect(ProcessTable.status(worker, "Gid") == "65534 65534 65534 65534")
                #expect(ProcessTable.status(worker, "Groups") == "65534")
            }
        }

        /// In process mode it is the master that opens files for responses, and it may read everything.
        @Test(isRoot, arguments: ServerMode.supervised) func filesForResponsesAreThoseOfTheUser(_ mode: ServerMode)
            throws
        {
            let folder = try Folder()
            folder.setMode("", 0o755)
            folder.write("for all", to: "open")
            folder.write("for root", to: "secret")
            folder.setMode("open", 0o644)
            folder.setMode("secret", 0o600)
            try ServerProcess.run(.general, mode, { $0.user = "nobody" }) { server in
                let open = try Connection(port: server.port).get(.file(folder.file("open")))
                #expect(open.body == "for all")
                let secret = try Connection(port: server.port).get(.file(folder.file("secret")))
                #expect(secret.status == 500)
            }
        }

        @Test(isRoot, arguments: ServerMode.supervised) func handlersAndFilesAreInTheirRoot(_ mode: ServerMode) throws {
            let folder = try Folder()
            folder.setMode("", 0o755)
            folder.write("inside", to: "page")
            folder.setMode("page", 0o644)
            try ServerProcess.run(.general, mode) {
                $0.user = "nobody"
                $0.chroot = folder.relative(".")
            } test: { server in
                let worker = try server.workerStart(0)
                #expect(ProcessTable.link(worker, "root") == folder.path)
                #expect(ProcessTable.link(worker, "cwd") == folder.path)
                #expect(ProcessTable.link(server.pid, "root") == "/")
                #expect(try Connection(port: server.port).get(.file("/page")).body == "inside")
                #expect(try Connection(port: server.port).get(.file("/etc/passwd")).status == 404)
                let client = try WebSocketClient(port: server.port)
                try client.send(.shutdown)
                client.connection.disconnect()
                #expect(try server.waitForEnd() == .exit(0))
            }
        }

        @Test(isRoot, arguments: ServerMode.supervised) func anotherUserCanReopenTheLog(_ mode: ServerMode) throws {
            let folder = try Folder()
            folder.setMode("", 0o755)
            try ServerProcess.run(.general, mode) {
                $0.user = "nobody"
                $0.logFile = folder.file("log")
            } test: { server in
                let worker = try server.workerStart(0)
                folder.rename("log", to: "log.1")
                server.signal(SIGHUP)
                try Wait.until("a line in the new file") {
                    server.signal(SIGIO, to: worker)
                    return folder.text("log").contains("[\(worker) worker 0]")
                }
                #expect(!folder.text("log.1").contains("cannot write"))
            }
        }

        static let invalid: [(ServerProcess.Change, String)] = [
            ({ $0.user = "no-such-user" }, "user \"no-such-user\": there is none of this name"),
            ({ $0.user = "" }, "user \"\": there is none of this name"),
            ({ $0.group = "no-such-group" }, "group \"no-such-group\": there is none of this name"),
            ({ $0.chroot = "/no-such-folder" }, "chroot \"/no-such-folder\": No such file or directory"),
            ({ $0.chroot = "/etc/passwd" }, "chroot \"/etc/passwd\": Not a directory"),
            ({ $0.cpuAffinityIgnore = [0] }, "cpuAffinityIgnore needs cpuAffinity"),
        ]

        @Test(isRoot, arguments: invalid)
        func whatCannotBeIsAnError(_ change: ServerProcess.Change, _ message: String) throws {
            let server = try ServerProcess.runFailing(.general, .process, change)
            #expect(server.end == .exit(3))
            #expect(server.events == [.beforeStart, .error(.invalidSetting, message)] && server.lines.count == 2)
            #expect(server.log.isEmpty)
        }

        static let separate: [ServerProcess.Change] = [
            { $0.user = "nobody" }, { $0.group = "nobody" }, { $0.chroot = "/" },
        ]

        @Test(arguments: separate)
        func oneProcessCannotBeTwo(_ change: ServerProcess.Change) throws {
            let server = try ServerProcess.runFailing(.general, .single, change)
            let (code, message) = try server.onlyError()
            #expect(code == .invalidSetting && message.contains("cannot be used in single mode"))
        }

        @Test func oneProcessHasItsCPU() throws {
            let cpu = try cpus[0]
            try ServerProcess.run(.general, .single, { $0.cpuAffinity = true }) { server in
                #expect(ProcessTable.status(server.pid, "Cpus_allowed_list") == "\(cpu)")
            }
        }

        /// CPUs that this process may use, and so its servers.
        private var cpus: [Int] {
            get throws {
                let list = try #require(ProcessTable.status(getpid(), "Cpus_allowed_list"))
                return list.split(separator: ",").flatMap { part in
                    let ends = part.split(separator: "-").compactMap { Int($0) }
                    return Array(ends[0]...ends[ends.count - 1])
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func everyOneHasItsCPU(_ mode: ServerMode) throws {
            let cpus = try cpus
            try ServerProcess.run(.general, mode, workers: 3) {
                $0.cpuAffinity = true
                $0.reactors = 2
            } test: { server in
                let reactors = mode == .process ? 2 : 0
                for id in 0..<3 {
                    let worker = try server.workerStart(id)
                    let cpu = cpus[(reactors + id) % cpus.count]
                    #expect(ProcessTable.status(worker, "Cpus_allowed_list") == "\(cpu)")
                }
                let threads = ProcessTable.statusOfThreads(server.pid, "Cpus_allowed_list")
                let all = try #require(ProcessTable.status(getpid(), "Cpus_allowed_list"))
                // The main thread and the watchdog may run anywhere.
                #expect(threads.sorted() == ([all, all] + (0..<reactors).map { "\(cpus[$0 % cpus.count])" }).sorted())
                #expect(ProcessTable.status(try server.process("manager"), "Cpus_allowed_list") == all)
            }
        }

        @Test func ignoredCPUsAreLeftToOthers() throws {
            let cpus = try cpus
            if cpus.count > 1 {
                let left = cpus.dropFirst().first!
                try ServerProcess.run(.general, .base, workers: 2) {
                    $0.cpuAffinity = true
                    $0.cpuAffinityIgnore = cpus.filter { $0 != left }
                } test: { server in
                    for id in 0..<2 {
                        let worker = try server.workerStart(id)
                        #expect(ProcessTable.status(worker, "Cpus_allowed_list") == "\(left)")
                    }
                }
            }
            let none = try ServerProcess.runFailing(.general, .base) {
                $0.cpuAffinity = true
                $0.cpuAffinityIgnore = cpus
            }
            let (code, message) = try none.onlyError()
            #expect(code == .invalidSetting && message.contains("cpuAffinityIgnore leaves none"))
        }

        /// No system allows this number of files.
        @Test(arguments: ServerMode.supervised) func tooFewDescriptorsAreLogged(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, { $0.maxConnections = 16_000_000 }) { server in
                let lines = server.log.split(separator: "\n").filter { $0.contains("open files are allowed") }
                #expect(lines.count == 1)
                #expect(lines.first?.contains("warning: ") == true)
            }
            try ServerProcess.run(.general, mode, { $0.maxConnections = 100 }) { server in
                #expect(!server.log.contains("open files are allowed"))
            }
        }
    }
}
