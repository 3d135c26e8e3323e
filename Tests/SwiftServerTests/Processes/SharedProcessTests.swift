import Glibc
import SwiftServer
import Testing

extension ProcessTests {
    /// Shared memory between the workers of a real server, also when they are killed while they use it.
    @Suite struct SharedProcessTests {
        @Test(arguments: ServerMode.supervised) func workersCountTogether(_ mode: ServerMode) throws {
            try ServerProcess.run("shared", mode, workers: 3) { server in
                let clients = try WebSocketClient.ofEveryWorker(3, port: server.port)
                // All at once: the answers are read later.
                for client in clients {
                    try client.send("count 500")
                    try client.send("update 500")
                }
                for client in clients {
                    #expect(try client.receiveText() == "counted")
                    #expect(try client.receiveText() == "updated")
                }
                for client in clients {
                    #expect(try client.ask("totals") == "1500 1500")
                    #expect(try client.ask("pair") == "1500 1500")
                }
                #expect(try clients[0].ask("name Alice") == "named")
                #expect(try clients[2].ask("named") == "Alice")
                #expect(!server.log.contains("is not shared with other processes"))
                #expect(try clients[0].ask("late") == "made")
                #expect(server.log.contains("is not shared with other processes"))
            }
        }

        @Test func whoDiesLeavesWholeRowsAndItsLock() throws {
            try ServerProcess.run("shared", .process, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                #expect(try clients[1].ask("update 3") == "updated")
                try clients[0].send("dieInUpdate")
                try server.line("workerStart 0", 2)
                #expect(try clients[1].ask("update 1") == "updated")
                #expect(try clients[0].ask("pair") == "4 4")
                try clients[0].send("dieInLock")
                try server.line("workerStart 0", 3)
                // Who reads repairs first; then there is nothing more to repair.
                #expect(try clients[1].ask("lock") == "true true")
                #expect(try clients[0].ask("lock") == "false false")
            }
        }
    }
}
