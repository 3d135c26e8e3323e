import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Servers at their limit of open files.
    @Suite struct ExhaustionTests {
        /// The process that accepts the connections.
        private func acceptor(_ server: ServerProcess, _ mode: ServerMode) throws -> Int32 {
            mode == .base ? try server.process("worker 0") : server.pid
        }

        @Test(arguments: ServerMode.allCases)
        func connectionsBeyondTheLimitAreRefusedAndLogged(_ mode: ServerMode) throws {
            let folder = try Folder()
            try ServerProcess.run(.general, mode, { $0.statsFile = folder.file("stats") }) { server in
                let open = try WebSocketClient(port: server.port)
                let process = try acceptor(server, mode)
                try DescriptorLimit.exhaust(process)
                for _ in 0..<20 {
                    let refused = try Connection(port: server.port)
                    #expect(try refused.takeRest().isEmpty)
                }
                #expect(try open.ask("hello") == "hello")
                try Wait.until("a line in the log: \(server.log)") {
                    server.log.contains("connections refused: ") && server.log.contains("too many open files")
                }
                try DescriptorLimit.raise(process)
                #expect(try WebSocketClient(port: server.port).ask("hello") == "hello")
                try Wait.until("the counters: \(folder.text("stats"))") {
                    folder.text("stats").contains("refused: 20\noutOfDescriptors: 20\noutOfMemory: 0\n")
                }
                let lines = server.log.split(separator: "\n").count { $0.contains("connections refused: ") }
                #expect((1...2).contains(lines), "\(server.log)")
            }
        }

        @Test func theManagerIsReplacedAtTheLimit() throws {
            try ServerProcess.run(.general, .process, workers: 2) { server in
                for id in 0..<2 { try server.workerStart(id) }
                let clients = try (0..<10).map { _ in try WebSocketClient(port: server.port) }
                let manager = try server.process("manager")
                func sockets(_ process: Int32) -> Set<String> {
                    Set(ProcessTable.files(process).filter { $0.hasPrefix("socket:") })
                }
                let inherited = sockets(manager)
                try DescriptorLimit.exhaust(server.pid)
                for _ in 0..<5 { #expect(try Connection(port: server.port).takeRest().isEmpty) }
                server.signal(SIGKILL, to: manager)
                let successor = try #require(try server.event(.managerStart, 2).pid)
                #expect(successor != manager)
                for client in clients { #expect(try client.ask("hello") == "hello") }
                try server.event(.workerStart, 4)
                #expect(sockets(successor) == inherited, "none of the connections")
                try DescriptorLimit.raise(server.pid)
                #expect(try WebSocketClient(port: server.port).ask("hello") == "hello")
            }
        }
    }
}
