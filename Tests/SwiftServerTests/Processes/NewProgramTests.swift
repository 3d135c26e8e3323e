import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Reloads that put a new version of the program into service.
    @Suite struct NewProgramTests {
        /// A copy of the server that can be replaced, as a deployment would: by another file of the same name.
        final class Program {
            let path = NSTemporaryDirectory() + "/version-\(UUID().uuidString)"
            private let base: Configuration

            /// The first version; later ones have the same configuration.
            init(_ configuration: Configuration) throws {
                base = configuration
                try deploy(version: 1)
            }

            func deploy(version: Int, _ change: (inout Configuration) -> Void = { _ in }) throws {
                var configuration = base
                configuration.version = version
                change(&configuration)
                var program = try Data(contentsOf: URL(fileURLWithPath: ServerProcess.program))
                program.append(contentsOf: (programTail + encoded(configuration)).utf8)
                try replace(program)
            }

            func replace(_ data: Data) throws {
                let next = URL(fileURLWithPath: path + ".next")
                try data.write(to: next)
                try FileManager.default.setAttributes([.posixPermissions: 0o755], ofItemAtPath: next.path)
                guard unsafe rename(next.path, path) == 0 else { throw SystemError("deploying") }
            }

            deinit { unsafe unlink(path) }
        }

        private func run(
            _ mode: ServerMode = .process, workers: Int = 2, _ configure: (inout Configuration) -> Void = { _ in },
            test: (ServerProcess, Program) throws -> Void
        ) throws {
            var configuration = Configuration(.version, mode, workers: workers)
            configuration.closeTimeout = .milliseconds(200)
            configure(&configuration)
            let program = try Program(configuration)
            try ServerProcess.run(program: program.path) { server in try test(server, program) }
        }

        private func version(_ client: WebSocketClient) throws -> Int {
            let report: VersionReport = try client.ask(.version)
            return report.version
        }

        private func task(_ client: WebSocketClient) throws -> Int {
            let report: VersionReport = try client.ask(.post(.who))
            return report.version
        }

        @Test func aNewVersionTakesOverAndAllConnectionsStay() throws {
            try run { server, program in
                let clients = try (0..<1000).map { _ in try WebSocketClient(port: server.port) }
                for client in clients { try client.send(.version) }
                for client in clients {
                    let report: VersionReport = try client.answer()
                    #expect(report.version == 1)
                }
                try program.deploy(version: 2)
                server.signal(10)
                // Served all the while.
                for client in clients { try client.send("hello") }
                for client in clients { #expect(try client.receiveText() == "hello") }
                try server.event(.afterReload)
                for client in clients { try client.send(.version) }
                for client in clients {
                    let report: VersionReport = try client.answer()
                    #expect(report.version == 2)
                }
                #expect(server.events(.close).isEmpty)
                let manager = try server.process("manager")
                #expect(ProcessTable.entry(try server.process("worker 0"))?.parent == manager)
            }
        }

        @Test func nothingIsLostUnderLoad() throws {
            try run(workers: 1) { server, program in
                let client = try WebSocketClient(port: server.port)
                var sent = 0
                for version in 2...3 {
                    try program.deploy(version: version)
                    server.signal(10)
                    for _ in 0..<2000 {
                        try client.send("number \(sent)")
                        sent += 1
                    }
                    try server.event(.afterReload, version - 1)
                }
                for n in 0..<sent { #expect(try client.receiveText() == "number \(n)") }
                #expect(try version(client) == 3)
            }
        }

        @Test func tasksAndSharedMemoryGoOn() throws {
            try run(workers: 1, { $0.tasks = 1 }) { server, program in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.visit) == Visit(version: 1, count: 1))
                #expect(try task(client) == 1)
                try program.deploy(version: 2)
                server.signal(12)  // the task workers alone
                try server.event(.afterReload)
                #expect(try client.ask(.visit) == Visit(version: 1, count: 2))
                #expect(try task(client) == 2)
                server.signal(10)
                try server.event(.afterReload, 2)
                #expect(try client.ask(.visit) == Visit(version: 2, count: 3))
                #expect(try task(client) == 2)
            }
        }

        /// Who crashes later is replaced by the new version, also after a new manager.
        @Test func theNewVersionStays() throws {
            try run(workers: 1) { server, program in
                let client = try WebSocketClient(port: server.port)
                try program.deploy(version: 2)
                server.signal(10)
                try server.event(.afterReload)
                server.signal(9, to: try server.process("worker 0"))
                #expect(try version(client) == 2)
                server.signal(9, to: try server.process("manager"))
                #expect(try version(client) == 2)
                try program.deploy(version: 3)
                try client.send(.reload())
                try server.event(.afterReload, 2)
                #expect(try version(client) == 3)
            }
        }

        @Test func inBaseModeTheListenersGoOn() throws {
            try run(.base) { server, program in
                try program.deploy(version: 2)
                server.signal(10)
                try server.event(.afterReload)
                for _ in 0..<8 {
                    #expect(try version(WebSocketClient(port: server.port)) == 2)
                }
            }
        }

        @Test func onlyWorkersHaveTheListeners() throws {
            try run(.base, workers: 1, { $0.tasks = 1 }) { server, program in
                let listeners = Set(ProcessTable.files(try server.process("worker 0")))
                    .filter { $0.hasPrefix("socket:") }.subtracting(ProcessTable.files(server.pid))
                #expect(!listeners.isEmpty)
                try program.deploy(version: 2)
                server.signal(12)
                try server.event(.afterReload)
                let task = ProcessTable.files(try server.process("task worker 1"))
                #expect(listeners.isDisjoint(with: task))
            }
        }

        /// Another version of the library may hand over something else. It must not become a server of its own.
        @Test func whatCannotBeReadIsNotPassedOver() throws {
            let server = try ServerProcess.runFailing(
                .version, environment: ["SWIFTSERVER_HANDOVER=id=0\nnews=1"])
            #expect(server.end == .exit(3))
            #expect(try server.onlyError().message.contains("cannot read the handover of the running server"))
        }

        static let misfits: [(ServerProcess.Change, String)] = [
            ({ $0.workers = 3 }, "the new program has \"workerCount 3\" instead of \"workerCount 1\""),
            ({ $0.maxMessage = 20_000_000 }, "instead of \"largest record"),
            ({ $0.startFailure = .exit }, "the new program ended with exit code 7"),
            ({ $0.startFailure = .hang }, "the new program is not ready in time"),
            ({ $0.allocatesMore = true }, "the new program ended with exit code 8"),
        ]

        @Test(arguments: misfits)
        func aProgramThatDoesNotFitChangesNothing(change: ServerProcess.Change, message: String) throws {
            try run(workers: 1, { $0.shutdownTimeout = .seconds(1) }) { server, program in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                try program.deploy(version: 2, change)
                server.signal(10)
                try server.event(.afterReload)
                #expect(server.log.contains(message), "\(server.log)")
                #expect(server.log.contains("the reload is aborted"))
                #expect(try client.ask(.version) == VersionReport(1, WorkerIdentity(id: 0, pid: worker)))
                // A better one still gets its chance.
                try program.deploy(version: 2)
                server.signal(10)
                try server.event(.afterReload, 2)
                #expect(try version(client) == 2)
            }
        }

        @Test(arguments: [1, 2]) func aProgramThatCrashesInWorkerStartChangesNothing(_ workers: Int) throws {
            try run(workers: workers) { server, program in
                let clients = try (0..<workers * 4).map { _ in try WebSocketClient(port: server.port) }
                func reports() throws -> [VersionReport] { try clients.map { try $0.ask(.version) } }
                let before = try reports()
                try program.deploy(version: 2) { $0.startFailure = .crash }
                server.signal(10)
                try server.event(.afterReload)
                #expect(server.log.contains("ended with exit code 9 in onWorkerStart"))
                #expect(server.log.contains("the reload is aborted, running workers continue"))
                #expect(try reports() == before)
                // A worker that dies is started from the old program.
                server.signal(9, to: try server.process("worker 0"))
                for report in try reports() { #expect(report.version == 1) }
                try program.deploy(version: 3)
                server.signal(10)
                try server.event(.afterReload, 2)
                for report in try reports() { #expect(report.version == 3) }
                #expect(server.events(.close).isEmpty)
            }
        }

        @Test func aFileThatIsNoProgramChangesNothing() throws {
            try run(workers: 1) { server, program in
                let client = try WebSocketClient(port: server.port)
                try program.replace(Data("this is no program".utf8))
                server.signal(10)
                try server.event(.afterReload)
                #expect(server.log.contains("cannot start \(program.path)"))
                #expect(try version(client) == 1)
            }
        }

        @Test func aStopDuringAReloadLeavesNothing() throws {
            try run(workers: 1) { server, program in
                try program.deploy(version: 2) { $0.startFailure = .hang }
                server.signal(10)
                try server.event(.beforeReload)
                try server.stop()
            }
        }

        @Test func theOldOneMayDieWhileTheNewOneStarts() throws {
            try run(workers: 1) { server, program in
                let client = try WebSocketClient(port: server.port)
                try program.deploy(version: 2)
                server.signal(10)
                try server.event(.beforeReload)
                server.signal(9, to: try server.process("worker 0"))
                try server.event(.afterReload)
                #expect(try version(client) == 2)
            }
        }
    }
}
