import Foundation
import SwiftServer
import Testing

extension ProcessTests {
    /// Reloads that put a new version of the program into service.
    @Suite struct NewProgramTests {
        /// A copy of the server that can be replaced, as a deployment would: by another file of the same name.
        final class Program {
            let path = NSTemporaryDirectory() + "/version-\(UUID().uuidString)"

            init() throws { try deploy("version=1") }

            func deploy(_ tail: String) throws {
                var program = try Data(contentsOf: URL(fileURLWithPath: ServerProcess.program))
                program.append(contentsOf: "\n#tail \(tail)".utf8)
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
            _ mode: ServerMode = .process, workers: Int = 2, _ options: [String] = [],
            _ body: (ServerProcess, Program) throws -> Void
        ) throws {
            let program = try Program()
            try ServerProcess.run("version", mode, workers: workers, options, program: program.path) { server in
                try body(server, program)
            }
        }

        @Test func aNewVersionTakesOverAndAllConnectionsStay() throws {
            try run { server, program in
                let clients = try (0..<1000).map { _ in try WebSocketClient(port: server.port) }
                for client in clients { try client.send("version") }
                for client in clients { #expect(try client.receiveText().hasPrefix("1 ")) }
                try program.deploy("version=2")
                server.signal(10)
                // Served all the while.
                for client in clients { try client.send("hello") }
                for client in clients { #expect(try client.receiveText() == "hello") }
                _ = try server.line("afterReload")
                for client in clients { try client.send("version") }
                for client in clients { #expect(try client.receiveText().hasPrefix("2 ")) }
                #expect(server.lines("close").isEmpty)
                let manager = try server.process("manager")
                #expect(ProcessTable.entry(try server.process("worker 0"))?.parent == manager)
            }
        }

        @Test func nothingIsLostUnderLoad() throws {
            try run(workers: 1) { server, program in
                let client = try WebSocketClient(port: server.port)
                var sent = 0
                for version in 2...3 {
                    try program.deploy("version=\(version)")
                    server.signal(10)
                    for _ in 0..<2000 {
                        try client.send("number \(sent)")
                        sent += 1
                    }
                    _ = try server.line("afterReload", version - 1)
                }
                for n in 0..<sent { #expect(try client.receiveText() == "number \(n)") }
                #expect(try client.ask("version").hasPrefix("3 0 "))
            }
        }

        @Test func tasksAndSharedMemoryGoOn() throws {
            try run(workers: 1, ["tasks=1"]) { server, program in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("visit") == "1 1")
                #expect(try client.ask("task").hasPrefix("task 1 "))
                try program.deploy("version=2")
                server.signal(12)  // the task workers alone
                _ = try server.line("afterReload")
                #expect(try client.ask("visit") == "1 2")
                #expect(try client.ask("task").hasPrefix("task 2 "))
                server.signal(10)
                _ = try server.line("afterReload", 2)
                #expect(try client.ask("visit") == "2 3")
                #expect(try client.ask("task").hasPrefix("task 2 "))
            }
        }

        /// Who crashes later is replaced by the new version, also after a new manager.
        @Test func theNewVersionStays() throws {
            try run(workers: 1) { server, program in
                let client = try WebSocketClient(port: server.port)
                try program.deploy("version=2")
                server.signal(10)
                _ = try server.line("afterReload")
                server.signal(9, to: try server.process("worker 0"))
                #expect(try client.ask("version").hasPrefix("2 0 "))
                server.signal(9, to: try server.process("manager"))
                #expect(try client.ask("version").hasPrefix("2 0 "))
                try program.deploy("version=3")
                try client.send("reload")
                _ = try server.line("afterReload", 2)
                #expect(try client.ask("version").hasPrefix("3 0 "))
            }
        }

        @Test func inBaseModeTheListenersGoOn() throws {
            try run(.base) { server, program in
                try program.deploy("version=2")
                server.signal(10)
                _ = try server.line("afterReload")
                for _ in 0..<8 {
                    #expect(try WebSocketClient(port: server.port).ask("version").hasPrefix("2 "))
                }
            }
        }

        @Test func onlyWorkersHaveTheListeners() throws {
            try run(.base, workers: 1, ["tasks=1"]) { server, program in
                let listeners = Set(ProcessTable.files(try server.process("worker 0")))
                    .filter { $0.hasPrefix("socket:") }.subtracting(ProcessTable.files(server.pid))
                #expect(!listeners.isEmpty)
                try program.deploy("version=2")
                server.signal(12)
                _ = try server.line("afterReload")
                let task = ProcessTable.files(try server.process("task worker 1"))
                #expect(listeners.isDisjoint(with: task))
            }
        }

        /// Another version of the library may hand over something else. It must not become a server of its own.
        @Test func whatCannotBeReadIsNotPassedOver() throws {
            let server = try ServerProcess.runFailing(
                "version", environment: ["SWIFTSERVER_HANDOVER=id=0\nnews=1"])
            #expect(server.end == .exit(3))
            #expect(server.lines("error").contains { $0.contains("cannot read the handover of the running server") })
        }

        @Test(arguments: [
            ("version=2 workers=3", "the new program has \"workerCount 3\" instead of \"workerCount 1\""),
            ("version=2 maxMessage=20000000", "instead of \"largest record"),
            ("version=2 startup=exit", "the new program ended with exit code 7"),
            ("version=2 startup=hang", "the new program is not ready in time"),
            ("version=2 moreShared", "the new program ended with exit code 8"),
        ])
        func aProgramThatDoesNotFitChangesNothing(tail: String, message: String) throws {
            try run(workers: 1, ["shutdownTimeout=1000"]) { server, program in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                try program.deploy(tail)
                server.signal(10)
                _ = try server.line("afterReload")
                #expect(server.log.contains(message), "\(server.log)")
                #expect(server.log.contains("the reload is aborted"))
                #expect(try client.ask("version") == "1 0 \(worker)")
                // A better one still gets its chance.
                try program.deploy("version=2")
                server.signal(10)
                _ = try server.line("afterReload", 2)
                #expect(try client.ask("version").hasPrefix("2 0 "))
            }
        }

        @Test func aProgramThatDoesNotLiveEndsTheReload() throws {
            try run(workers: 1) { server, program in
                let client = try WebSocketClient(port: server.port)
                try program.deploy("version=2 startup=crash")
                server.signal(10)
                _ = try server.line("afterReload")
                #expect(server.log.contains("worker 0 does not start any more"))
                // The place is filled as soon as there is a program that lives; no connection is lost until then.
                try program.deploy("version=3")
                #expect(try client.ask("version").hasPrefix("3 0 "))
                server.signal(10)
                _ = try server.line("afterReload", 2)
                #expect(try client.ask("version").hasPrefix("3 0 "))
            }
        }

        @Test func aFileThatIsNoProgramChangesNothing() throws {
            try run(workers: 1) { server, program in
                let client = try WebSocketClient(port: server.port)
                try program.replace(Data("this is no program".utf8))
                server.signal(10)
                _ = try server.line("afterReload")
                #expect(server.log.contains("cannot start \(program.path)"))
                #expect(try client.ask("version").hasPrefix("1 0 "))
            }
        }

        @Test func aStopDuringAReloadLeavesNothing() throws {
            try run(workers: 1) { server, program in
                try program.deploy("version=2 startup=hang")
                server.signal(10)
                _ = try server.line("beforeReload")
                try server.stop()
            }
        }

        @Test func theOldOneMayDieWhileTheNewOneStarts() throws {
            try run(workers: 1) { server, program in
                let client = try WebSocketClient(port: server.port)
                try program.deploy("version=2")
                server.signal(10)
                _ = try server.line("beforeReload")
                server.signal(9, to: try server.process("worker 0"))
                _ = try server.line("afterReload")
                #expect(try client.ask("version").hasPrefix("2 0 "))
            }
        }
    }
}
