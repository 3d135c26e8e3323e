import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Topics and broadcast reach connections of all workers; signs of life and counters are seen by all.
    @Suite struct BroadcastTests {
        @Test(arguments: ServerMode.supervised) func broadcastReachesAllFromEveryWorker(_ mode: ServerMode) throws {
            try ServerProcess.run(.broadcast, mode, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                for (from, to) in [(clients[0], clients[1]), (clients[1], clients[0])] {
                    let hello: (PushResult, String) = try from.askAndReceive(.broadcast("hello"))
                    #expect(hello == (.queued, "hello"))
                    #expect(try to.receiveText() == "hello")
                    #expect(try from.ask(.broadcastToOthers([1, 2, 3])) == PushResult.queued)
                    #expect(try to.receive() == .binary([1, 2, 3]))
                    #expect(try from.ask(.broadcastPing) == PushResult.invalid)
                    try from.send(.broadcastDetached("detached"))
                    #expect(try from.receiveText() == "detached")
                    #expect(try to.receiveText() == "detached")
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func topicsReachTheirSubscribers(_ mode: ServerMode) throws {
            try ServerProcess.run(.broadcast, mode, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                let (a, b) = (clients[0], clients[1])
                for client in clients { #expect(try client.ask(.subscribe("news")) == PushResult.queued) }
                #expect(try a.ask(.publishToOthers("one", to: "news")) == PushResult.queued)
                #expect(try b.receiveText() == "one")
                #expect(try b.ask(.unsubscribe("news")) == PushResult.queued)
                let two: (PushResult, String) = try a.askAndReceive(.publish("two", to: "news"))
                #expect(two == (.queued, "two"))
                let longTopic = String(repeating: "x", count: 256)
                #expect(try b.ask(.publish("three", to: longTopic)) == PushResult.invalid)
                #expect(try b.ask(.publishToOthers("four", to: "nobody")) == PushResult.queued)
                #expect(try b.ask(.subscribe("")) == PushResult.invalid)
                #expect(try b.ask(.publishToOthers("five", to: "news")) == PushResult.queued)
                #expect(try a.receiveText() == "five")
            }
        }

        @Test(arguments: ServerMode.supervised) func everyWorkerKnowsEveryConnection(_ mode: ServerMode) throws {
            try ServerProcess.run(.broadcast, mode, workers: 2, { $0.reactors = 1 }) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                for asking in clients {
                    for (worker, client) in clients.enumerated() {
                        let report: ConnectionReport? = try asking.ask(.info(client.fd))
                        let info = try #require(report)
                        #expect(info.status == .established && info.port == server.port)
                        #expect(info.address == "127.0.0.1")
                        #expect(info.worker == worker && info.reactor == (mode == .process ? 0 : nil))
                        #expect(abs(info.connectTime - Double(time(nil))) < 60)
                        #expect(info.lastReceiveTime >= info.connectTime && (info.lastSendTime ?? 0) > 0)
                        #expect(info.queuedBytes == 0)
                        #expect(info.socketType == .tcp && info.portIndex == 0 && !info.isSecure)
                    }
                    let unknown = ConnectionID(rawValue: 123_456_789)
                    #expect(try asking.ask(.info(unknown)) == ConnectionReport?.none)
                }
                let leaving = try WebSocketClient(port: server.port)
                leaving.connection.disconnect()
                try Wait.until("all to be counted") {
                    for client in clients {
                        let counts: Counts = try client.ask(.stats)
                        guard counts.connections == 2, counts.accepted >= 3, counts.closed == counts.accepted - 2,
                            counts.messagesReceived > 2
                        else { return false }
                        #expect(counts.closedByPeer >= 1)
                    }
                    return true
                }
                let counts: Counts = try clients[0].ask(.stats)
                #expect(counts.bytesReceived > 0 && counts.bytesSent > 0)
            }
        }

        /// The longest turn is that of the handler which took the longest, whichever process it was in.
        @Test(arguments: ServerMode.supervised) func slowTurnsShow(_ mode: ServerMode) throws {
            try ServerProcess.run(.broadcast, mode, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                #expect(try clients[0].ask(.block(.milliseconds(50))) == true)
                try Wait.until("a turn of 50 ms to be counted") {
                    let lag: LoopLag = try clients[1].ask(.loopLag)
                    return lag.average > .zero && lag.longest >= max(lag.average, .milliseconds(50))
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func theSilentOneIsClosed(_ mode: ServerMode) throws {
            try ServerProcess.run(.broadcast, mode, workers: 2) {
                $0.heartbeatIdleTime = .milliseconds(700)
            } test: { server in
                let spared = try WebSocketClient(port: server.port)
                #expect(try spared.ask(.protect) == true)
                let silent = try WebSocketClient(port: server.port)
                #expect(try silent.receive() == .close(1001, "heartbeat timeout"))
                #expect(try server.event(.close) == .close(silent.fd, 1006, .heartbeat))
                #expect(try spared.ask(.info(silent.fd)) == ConnectionReport?.none)
            }
        }

        @Test(arguments: ServerMode.supervised) func whoAnswersPingsStays(_ mode: ServerMode) throws {
            try ServerProcess.run(.broadcast, mode, workers: 2, { $0.pingInterval = .milliseconds(300) }) { server in
                let silent = try WebSocketClient(port: server.port)
                let alive = try WebSocketClient(port: server.port)
                for _ in 0..<4 {
                    #expect(try alive.receive() == .ping([]))
                    try alive.send(10, [])
                }
                #expect(try silent.receive() == .ping([]))
                #expect(try silent.receive() == .close(1001, "heartbeat timeout"))
                #expect(try server.event(.close) == .close(silent.fd, 1006, .heartbeat))
                #expect(try alive.ask(.info(silent.fd)) == ConnectionReport?.none)
            }
        }

        @Test(arguments: ServerMode.supervised) func soManyPerAddress(_ mode: ServerMode) throws {
            try ServerProcess.run(.broadcast, mode, workers: 2, { $0.maxConnectionsPerAddress = 2 }) { server in
                let clients = try (0..<2).map { _ in try WebSocketClient(port: server.port) }
                #expect(throws: (any Error).self) { try WebSocketClient(port: server.port) }
                try Wait.until("a line of the log") {
                    server.log.contains(
                        "connections refused: 1, maxConnections or maxConnectionsPerAddress is reached")
                }
                // At most one such line in ten seconds.
                let begin = ContinuousClock.now
                for _ in 0..<20 { #expect(throws: (any Error).self) { try WebSocketClient(port: server.port) } }
                usleep(2_200_000)
                let lines = server.log.matches(of: /connections refused:/).count
                #expect(lines == 1 || ContinuousClock.now - begin > .seconds(8))
                clients[0].connection.disconnect()
                try Wait.until("room for another one") { (try? WebSocketClient(port: server.port)) != nil }
            }
        }
    }
}
