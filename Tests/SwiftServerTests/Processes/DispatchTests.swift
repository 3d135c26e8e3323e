import Glibc
import SwiftServer
import Testing

extension ProcessTests {
    /// Which worker gets what. The names of the peer's tests stand at those that do what they do.
    @Suite struct DispatchTests {
        private func worker(of client: WebSocketClient) throws -> Int {
            try #require(Int(try client.ask("/who").split(separator: " ")[0]))
        }

        private func packetPort(_ server: ServerProcess) throws -> Int { Int(try server.number("packets")) }

        /// dispatch_mode_1
        @Test func roundRobinGivesEqualShares() throws {
            try ServerProcess.run("dispatch", workers: 3, ["dispatch=roundRobin", "reactors=2"]) { server in
                let clients = try (0..<9).map { _ in try WebSocketClient(port: server.port) }
                var shares = [0, 0, 0]
                for client in clients { shares[try worker(of: client)] += 1 }
                #expect(shares == [3, 3, 3])
                let packets = try Connection.datagrams(port: packetPort(server))
                shares = [0, 0, 0]
                for _ in 0..<9 {
                    try packets.send("x")
                    let answer = try #require(try packets.take(1))
                    shares[Int(answer[0] - UInt8(ascii: "0"))] += 1
                }
                #expect(shares == [3, 3, 3])
            }
        }

        @Test func leastConnectionsFillsTheGap() throws {
            try ServerProcess.run("dispatch", workers: 2, ["dispatch=leastConnections", "reactors=2"]) { server in
                let clients = try (0..<6).map { _ in try WebSocketClient(port: server.port) }
                let leaving = try clients.filter { try worker(of: $0) == 1 }
                #expect(leaving.count == 3)
                for client in leaving { client.connection.disconnect() }
                try server.line("close 1", 3)
                for _ in 0..<2 {
                    let client = try WebSocketClient(port: server.port)
                    #expect(try worker(of: client) == 1)
                    client.connection.disconnect()
                    try server.line("close 1 \(client.fd)")
                }
            }
        }

        @Test func oneAddressOneWorker() throws {
            try ServerProcess.run("dispatch", workers: 3, ["dispatch=byAddress", "reactors=2"]) { server in
                let clients = try (0..<6).map { _ in try WebSocketClient(port: server.port) }
                #expect(try Set(clients.map { try worker(of: $0) }).count == 1)
            }
        }

        @Test func aNumberDecides() throws {
            try ServerProcess.run("dispatch", workers: 3, ["dispatch=byUser"]) { server in
                let client = try WebSocketClient(port: server.port)
                let first = try worker(of: client)
                let number = first + 4
                #expect(try client.ask("uid \(client.fd)") == "none")
                #expect(try client.ask("bind 0") == "false")
                #expect(try client.ask("bind \(1 << 32)") == "false")
                #expect(try client.ask("bind \(number)") == "true")
                #expect(try worker(of: client) == number % 3)
                #expect(try client.ask("bind 1") == "false")
                #expect(try client.ask("elsewhere 1") == "false")
                #expect(try client.ask("uid \(client.fd)") == "\(number)")
                // A worker that takes another's place takes its number.
                server.signal(SIGKILL, to: try server.process("worker \(number % 3)"))
                #expect(try worker(of: client) == number % 3)
                client.connection.disconnect()
                #expect(try server.line("close") == "close \(number % 3) \(client.fd)")
            }
        }

        @Test(arguments: ServerMode.supervised) func withAnotherRuleANumberOnlyNames(_ mode: ServerMode) throws {
            try ServerProcess.run("dispatch", mode, workers: 2) { server in
                let client = try WebSocketClient(port: server.port)
                let first = try worker(of: client)
                #expect(try client.ask("elsewhere \(first + 1)") == "true")
                #expect(try worker(of: client) == first)
                #expect(try client.ask("uid \(client.fd)") == "\(first + 1)")
            }
        }

        /// dispatch_func, dispatch_fallback, dispatch_func_discard
        @Test func aFunctionDecides() throws {
            try ServerProcess.run("dispatch", workers: 3, ["dispatch=function"]) { server in
                let packets = try Connection.datagrams(port: packetPort(server))
                for number in [2, 0, 1, 1] {
                    try packets.send("\(number)")
                    #expect(try packets.take(1) == Array("\(number)".utf8))
                }
                // No worker, or no number: the usual rule, by which one sender has one worker.
                try packets.send("99999999999")
                let usual = try packets.take(1)
                try packets.send("whoever")
                #expect(try packets.take(1) == usual)
                // Dropped: the next answer is that to the next packet.
                try packets.send("-1")
                try packets.send("2")
                #expect(try packets.take(1) == [UInt8(ascii: "2")])
                #expect(try worker(of: WebSocketClient(port: server.port)) == 0)
            }
        }
    }
}
