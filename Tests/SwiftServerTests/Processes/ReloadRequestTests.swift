import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Reload requests that arrive while a reload is in progress: one more reload follows.
    @Suite struct ReloadRequestTests {
        /// Begins a reload, requests others meanwhile, and returns when it and the one that follows have ended.
        private func reload(
            _ first: Int32, replacing worker: String, then others: [Int32], _ server: ServerProcess
        ) throws {
            try server.workerStart(0)
            try server.workerStart(1)
            let worker = try server.process(worker)
            server.signal(SIGSTOP, to: worker)  // the reload lasts as long as the test wants
            server.signal(first)
            try server.event(.beforeReload)
            for signal in others {
                server.signal(signal)
                usleep(2000)
            }
            try Wait.until("a reload that is remembered") {
                server.log.contains("a reload is in progress; another one follows")
            }
            server.signal(SIGCONT, to: worker)
            try server.event(.afterReload, 2)
            let manager = try server.process("manager")
            server.signal(SIGIO, to: manager)
            try Wait.until("the manager") { server.log.contains("the manager ignores signal \(SIGIO)") }
            #expect(server.events(.beforeReload).count == 2)
        }

        @Test(arguments: ServerMode.supervised) func requestsDuringAReloadAreOneMore(_ mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1, { $0.shutdownTimeout = .seconds(60) }) { server in
                try reload(
                    SIGUSR1, replacing: "worker 0", then: [SIGUSR1, SIGUSR2, SIGUSR1, SIGUSR2, SIGUSR1], server)
                for id in 0..<2 { #expect(server.starts(of: id) == 3) }
            }
        }

        @Test func taskWorkersAloneFollowWhenOnlyTheyWereRequested() throws {
            try ServerProcess.run(.tasks, tasks: 1, { $0.shutdownTimeout = .seconds(60) }) { server in
                try reload(SIGUSR1, replacing: "worker 0", then: [SIGUSR2, SIGUSR2], server)
                #expect(server.starts(of: 0) == 2)
                #expect(server.starts(of: 1) == 3)
            }
        }

        /// A request for all processes is not forgotten because of those for task workers.
        @Test func allFollowWhenAllWereRequested() throws {
            try ServerProcess.run(.tasks, tasks: 1, { $0.shutdownTimeout = .seconds(60) }) { server in
                try reload(SIGUSR2, replacing: "task worker 1", then: [SIGUSR2, SIGUSR1, SIGUSR2], server)
                #expect(server.starts(of: 0) == 2)
                #expect(server.starts(of: 1) == 3)
            }
        }

        /// After a deployment that fails, the one that was requested meanwhile is carried out.
        @Test func aRequestOutlivesAReloadThatFails() throws {
            var configuration = Configuration(.version, .process)
            configuration.closeTimeout = .milliseconds(200)
            configuration.shutdownTimeout = .seconds(1)
            let program = try NewProgramTests.Program(configuration)
            try ServerProcess.run(program: program.path) { server in
                let client = try WebSocketClient(port: server.port)
                try program.deploy(version: 2) { $0.startFailure = .hang }
                server.signal(SIGUSR1)
                try server.event(.beforeReload)
                try Wait.until("the new program") { server.running.count == 4 }
                try program.deploy(version: 3)
                server.signal(SIGUSR1)
                try server.event(.afterReload, 2)
                #expect(server.log.contains("the reload is aborted"))
                let report: VersionReport = try client.ask(.version)
                #expect(report.version == 3)
            }
        }

        @Test func aRequestOfAWorkerIsRememberedToo() throws {
            try ServerProcess.run(.version, workers: 2) { server in
                let client = try WebSocketClient(port: server.port)
                let report: VersionReport = try client.ask(.version)
                let worker = try server.process(report.worker.id == 0 ? "worker 1" : "worker 0")
                server.signal(SIGSTOP, to: worker)
                server.signal(SIGUSR1)
                try server.event(.beforeReload)
                try client.send(.reload())
                try client.send(.reload())
                try Wait.until("a reload that is remembered") {
                    server.log.contains("a reload is in progress; another one follows")
                }
                server.signal(SIGCONT, to: worker)
                try server.event(.afterReload, 2)
                #expect(try client.ask("hello") == "hello")
            }
        }
    }
}
