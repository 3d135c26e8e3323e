import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Shared memory between the workers of a real server, also when they are killed while they use it.
    @Suite struct SharedProcessTests {
        @Test(arguments: ServerMode.supervised) func workersCountTogether(_ mode: ServerMode) throws {
            try ServerProcess.run(.shared, mode, workers: 3) { server in
                let clients = try WebSocketClient.ofEveryWorker(3, port: server.port)
                // All at once: the answers are read later.
                for client in clients {
                    try client.send(.increment(500))
                    try client.send(.update(500))
                }
                for client in clients {
                    #expect(try client.answer() == true)
                    #expect(try client.answer() == true)
                }
                for client in clients {
                    #expect(try client.ask(.counters) == [1500, 1500])
                    #expect(try client.ask(.pair) == [1500, 1500])
                }
                #expect(try clients[0].ask(.setName("Alice")) == true)
                #expect(try clients[2].ask(.name) as String? == "Alice")
                #expect(!server.log.contains("is not shared with other processes"))
                #expect(try clients[0].ask(.makeAtomic) == true)
                #expect(server.log.contains("is not shared with other processes"))
            }
        }

        @Test func whoDiesLeavesWholeRowsAndItsLock() throws {
            try ServerProcess.run(.shared, .process, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                #expect(try clients[1].ask(.update(3)) == true)
                try clients[0].send(.dieInUpdate)
                try server.workerStart(0, 2)
                #expect(try clients[1].ask(.update(1)) == true)
                #expect(try clients[0].ask(.pair) == [4, 4])
                try clients[0].send(.dieInLock)
                try server.workerStart(0, 3)
                // Who reads repairs first; then there is nothing more to repair.
                #expect(try clients[1].ask(.lock) == [true, true])
                #expect(try clients[0].ask(.lock) == [false, false])
            }
        }
    }
}
