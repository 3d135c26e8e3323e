import SwiftServer
import Testing

extension ProcessTests {
    /// Topics and broadcast reach connections of all workers; signs of life and counters are seen by all.
    @Suite struct BroadcastTests {
        @Test(arguments: ServerMode.supervised) func broadcastReachesAllFromEveryWorker(_ mode: ServerMode) throws {
            try ServerProcess.run("broadcast", mode, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                for (from, to) in [(clients[0], clients[1]), (clients[1], clients[0])] {
                    try from.send("all hello")
                    #expect(try Set([from.receiveText(), from.receiveText()]) == ["hello", "queued"])
                    #expect(try to.receiveText() == "hello")
                    #expect(try from.ask("rest") == "queued")
                    #expect(try to.receive() == .binary([1, 2, 3]))
                    #expect(try from.ask("ping") == "invalid")
                    try from.send("elsewhere detached")
                    #expect(try from.receiveText() == "detached")
                    #expect(try to.receiveText() == "detached")
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func topicsReachTheirSubscribers(_ mode: ServerMode) throws {
            try ServerProcess.run("broadcast", mode, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                let (a, b) = (clients[0], clients[1])
                for client in clients { #expect(try client.ask("join news") == "true") }
                #expect(try a.ask("others news one") == "queued")
                #expect(try b.receiveText() == "one")
                #expect(try b.ask("part news") == "true")
                try a.send("publish news two")
                #expect(try Set([a.receiveText(), a.receiveText()]) == ["two", "queued"])
                #expect(try b.ask("publish \(String(repeating: "x", count: 256)) three") == "invalid")
                #expect(try b.ask("others nobody four") == "queued")
                #expect(try b.ask("join ") == "false")
                #expect(try b.ask("others news five") == "queued")
                #expect(try a.receiveText() == "five")
            }
        }

        @Test(arguments: ServerMode.supervised) func everyWorkerKnowsEveryConnection(_ mode: ServerMode) throws {
            try ServerProcess.run("broadcast", mode, workers: 2, ["reactors=1"]) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                for asking in clients {
                    for (worker, client) in clients.enumerated() {
                        let words = try asking.ask("info \(client.fd)").split(separator: " ")
                        #expect(words.count == 10)
                        #expect(words.prefix(3) == ["established", "true", "127.0.0.1"])
                        #expect(words[4] == "\(worker)" && words[5] == (mode == .process ? "0" : "none"))
                        #expect(words[6...] == ["true", "true", "true", "0"])
                    }
                    #expect(try asking.ask("info 123456789") == "gone")
                    #expect(try asking.ask("kind \(clients[0].fd)") == "tcp 0 false")
                }
                let leaving = try WebSocketClient(port: server.port)
                leaving.connection.disconnect()
                try Wait.until("all to be counted") {
                    for client in clients {
                        let words = try client.ask("stats").split(separator: " ").map { Int($0) ?? -1 }
                        guard words[0] == 2, words[1] >= 3, words[2] == words[1] - 2, words[3] > 2 else { return false }
                        #expect(words[4] >= 1)
                    }
                    return true
                }
                #expect(try clients[0].ask("stats").hasSuffix("true true"))
            }
        }

        /// The longest turn is that of the handler which took the longest, whichever process it was in.
        @Test(arguments: ServerMode.supervised) func slowTurnsShow(_ mode: ServerMode) throws {
            try ServerProcess.run("broadcast", mode, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                #expect(try clients[0].ask("block") == "unblocked")
                try Wait.until("a turn of 50 ms to be counted") {
                    let words = try clients[1].ask("lag").split(separator: " ")
                    guard words[1] == "true", let seconds = Double(words[2]) else { return false }
                    return seconds >= 0.05
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func theSilentOneIsClosed(_ mode: ServerMode) throws {
            try ServerProcess.run("broadcast", mode, workers: 2, ["heartbeatIdleTime=700"]) { server in
                let spared = try WebSocketClient(port: server.port)
                #expect(try spared.ask("protect") == "true")
                let silent = try WebSocketClient(port: server.port)
                #expect(try silent.receive() == .close(1001, "heartbeat timeout"))
                #expect(try server.line("close") == "close \(silent.fd) 1006 [heartbeat timeout] ")
                #expect(try spared.ask("info \(silent.fd)") == "gone")
            }
        }

        @Test(arguments: ServerMode.supervised) func whoAnswersPingsStays(_ mode: ServerMode) throws {
            try ServerProcess.run("broadcast", mode, workers: 2, ["pingInterval=300"]) { server in
                let silent = try WebSocketClient(port: server.port)
                let alive = try WebSocketClient(port: server.port)
                for _ in 0..<4 {
                    #expect(try alive.receive() == .ping([]))
                    try alive.send(10, [])
                }
                #expect(try silent.receive() == .ping([]))
                #expect(try silent.receive() == .close(1001, "heartbeat timeout"))
                #expect(try server.line("close") == "close \(silent.fd) 1006 [heartbeat timeout] ")
                #expect(try alive.ask("info \(silent.fd)") == "gone")
            }
        }

        @Test(arguments: ServerMode.supervised) func soManyPerAddress(_ mode: ServerMode) throws {
            try ServerProcess.run("broadcast", mode, workers: 2, ["maxConnectionsPerAddress=2"]) { server in
                let clients = try (0..<2).map { _ in try WebSocketClient(port: server.port) }
                #expect(throws: (any Error).self) { try WebSocketClient(port: server.port) }
                clients[0].connection.disconnect()
                try Wait.until("room for another one") { (try? WebSocketClient(port: server.port)) != nil }
            }
        }
    }
}
