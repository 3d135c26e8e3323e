import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Pushing, and the table of connections, from every worker.
    @Suite struct PushTests {
        @Test(arguments: ServerMode.supervised) func pushToWhatIsNoWebSocketSaysWhy(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                let http = try Connection(port: server.port)
                let httpID = ConnectionID(rawValue: try #require(UInt64(try http.get(.fd).body)))
                for client in try WebSocketClient.ofEveryWorker(2, port: server.port) {
                    let leaving = try WebSocketClient(port: server.port)
                    leaving.connection.disconnect()
                    try Wait.until("the end of \(leaving.fd)") { try client.ask(.exists(leaving.fd)) == false }
                    #expect(try client.ask(.push("text", to: leaving.fd)) == PushResult.closed)
                    #expect(try client.ask(.push("text", to: ConnectionID(rawValue: 0))) == PushResult.closed)
                    #expect(try client.ask(.push("text", to: ConnectionID(rawValue: 123456789))) == PushResult.closed)
                    #expect(
                        try client.ask(.push("text", to: ConnectionID(rawValue: UInt64(Int64.max))))
                            == PushResult.closed)
                    #expect(try client.ask(.push("text", to: httpID)) == PushResult.notWebSocket)
                    #expect(try client.ask(.exists(httpID)) == true)
                    #expect(try client.ask(.isEstablished(httpID)) == false)
                    #expect(try client.ask(.exists(client.fd)) == true)
                    #expect(try client.ask(.isEstablished(client.fd)) == true)
                    #expect(try client.ask(.isEstablished(ConnectionID(rawValue: 123456789))) == false)
                }
                // The connection that is no WebSocket got nothing in between.
                #expect(try http.get("/").body == "hello")
            }
        }

        @Test(arguments: ServerMode.supervised) func everyWorkerSeesAllConnections(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 3) { server in
                let clients = try WebSocketClient.ofEveryWorker(3, port: server.port)
                let all = clients.map(\.fd).sorted()
                for client in clients {
                    // Those that ofEveryWorker had in excess may need a moment to go.
                    try Wait.until("the list \(all)") { try client.ask(.connections) == all }
                    #expect(try client.ask(.connectionCount) == 3)
                    for other in clients { #expect(try client.ask(.isEstablished(other.fd)) == true) }
                }
                clients[0].connection.disconnect()
                try Wait.until("one to be gone") { try clients[1].ask(.connectionCount) == 2 }
                #expect(try clients[2].ask(.exists(clients[0].fd)) == false)
            }
        }

        @Test(arguments: ServerMode.supervised) func pushReachesConnectionsOfOtherWorkers(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                for (from, to) in [(0, 1), (1, 0)] {
                    let result: PushResult = try clients[from].ask(.push("over there", to: clients[to].fd))
                    #expect(result == .queued)
                    #expect(try clients[to].receiveText() == "over there")
                }
                // Plain HTTP is served by one of the workers, the client by both in turn.
                for client in clients {
                    let page = try Connection(port: server.port).get(.push("from a page", to: client.fd))
                    #expect(["sent", "queued"].contains(page.body))
                    #expect(try client.receiveText() == "from a page")
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func manyConnectionsAreListedOnceEach(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let clients = try (0..<300).map { _ in try WebSocketClient(port: server.port) }
                let all = clients.map(\.fd).sorted()
                #expect(try clients[0].ask(.connections) == all)
                #expect(try clients[299].ask(.connectionCount) == 300)
            }
        }

        @Test func pushToAnOwnConnectionIsSentInBaseMode() throws {
            try ServerProcess.run(.general, .base) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.push("to myself", to: client.fd))
                #expect(try client.receiveText() == "to myself")
                #expect(try client.answer() == PushResult.sent)
            }
        }

        @Test(arguments: ServerMode.supervised) func broadcastReachesEveryClientOnce(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                let sides = try WebSocketClient.ofEveryWorker(2, port: server.port)
                let clients = try sides + (0..<20).map { _ in try WebSocketClient(port: server.port) }
                try sides[0].send(.pushToAll("one"))
                for client in clients { #expect(try client.receiveText() == "one") }
                try sides[1].send(.pushToAll("two"))
                for client in clients {
                    #expect(try client.receiveText() == "two")
                    // Nothing else came in between.
                    #expect(try client.ask("three") == "three")
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func largePushCrossesWorkers(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2, { $0.ringSize = 4096 }) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                let text = String(repeating: "0123456789abcdef", count: 32 << 10)
                try clients[0].send(.push(text, to: clients[1].fd))
                let arrived = try clients[1].receiveText() == text
                #expect(arrived)
                let result: PushResult = try clients[0].answer()
                #expect(result == .queued)
            }
        }

        /// What does not fit is refused and not kept, and the connection lives on.
        @Test(arguments: ServerMode.supervised) func slowClientFillsItsQueueOnly(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, { $0.maxQueue = 65_536 }) { server in
                let slow = try WebSocketClient(port: server.port)
                let other = try WebSocketClient(port: server.port)
                let text = String(repeating: "x", count: 32 << 10)
                var accepted = 0
                for _ in 0..<1000 {
                    guard try other.ask(.push(text, to: slow.fd)) != PushResult.full else { break }
                    accepted += 1
                }
                #expect(accepted < 1000)
                #expect(try other.ask("hello") == "hello")
                _ = slow
            }
        }

        @Test(arguments: ServerMode.supervised) func manyMessagesFromOneHandlerKeepTheirOrder(_ mode: ServerMode) throws
        {
            try ServerProcess.run(.general, mode, { $0.ringSize = 4096 }) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.pushMany(2000, "padding of a message"))
                for index in 0..<2000 { #expect(try client.receiveText() == "\(index) padding of a message") }
            }
        }
    }
}
