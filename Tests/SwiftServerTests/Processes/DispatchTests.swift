import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Which worker gets what. Comments name the test cases of Swoole that a test repeats.
    @Suite struct DispatchTests {
        private func worker(of client: WebSocketClient) throws -> Int {
            try client.who().id
        }

        /// dispatch_mode_1
        @Test func roundRobinGivesEqualShares() throws {
            try ServerProcess.run(.dispatch, workers: 3) {
                $0.dispatch = .roundRobin
                $0.reactors = 2
            } test: { server in
                let clients = try (0..<9).map { _ in try WebSocketClient(port: server.port) }
                var shares = [0, 0, 0]
                for client in clients { shares[try worker(of: client)] += 1 }
                #expect(shares == [3, 3, 3])
                let packets = try Connection.datagrams(port: server.ports[1])
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
            try ServerProcess.run(.dispatch, workers: 2) {
                $0.dispatch = .leastConnections
                $0.reactors = 2
            } test: { server in
                let clients = try (0..<6).map { _ in try WebSocketClient(port: server.port) }
                let leaving = try clients.filter { try worker(of: $0) == 1 }
                #expect(leaving.count == 3)
                for client in leaving { client.connection.disconnect() }
                _ = try server.event("a close in worker 1", 3) { if case .closedIn(1, _) = $0 { $0 } else { nil } }
                for _ in 0..<2 {
                    let client = try WebSocketClient(port: server.port)
                    #expect(try worker(of: client) == 1)
                    client.connection.disconnect()
                    try server.wait(for: .closedIn(worker: 1, client.fd))
                }
            }
        }

        @Test func oneAddressOneWorker() throws {
            try ServerProcess.run(.dispatch, workers: 3) {
                $0.dispatch = .byAddress
                $0.reactors = 2
            } test: { server in
                let clients = try (0..<6).map { _ in try WebSocketClient(port: server.port) }
                #expect(try Set(clients.map { try worker(of: $0) }).count == 1)
            }
        }

        @Test func aNumberDecides() throws {
            try ServerProcess.run(.dispatch, workers: 3, { $0.dispatch = .byUser }) { server in
                let client = try WebSocketClient(port: server.port)
                let first = try worker(of: client)
                let number = first + 4
                #expect(try client.ask(.userID(client.fd)) == Int?.none)
                #expect(try client.ask(.bind(0)) == false)
                #expect(try client.ask(.bind(1 << 32)) == false)
                #expect(try client.ask(.bind(number)) == true)
                #expect(try worker(of: client) == number % 3)
                #expect(try client.ask(.bind(1)) == false)
                #expect(try client.ask(.bindDetached(1)) == false)
                #expect(try client.ask(.userID(client.fd)) == number)
                // A worker that takes another's place takes its number.
                server.signal(SIGKILL, to: try server.process("worker \(number % 3)"))
                #expect(try worker(of: client) == number % 3)
                client.connection.disconnect()
                #expect(try server.event(.closedIn) == .closedIn(worker: number % 3, client.fd))
            }
        }

        @Test(arguments: ServerMode.supervised) func withAnotherRuleANumberOnlyNames(_ mode: ServerMode) throws {
            try ServerProcess.run(.dispatch, mode, workers: 2) { server in
                let client = try WebSocketClient(port: server.port)
                let first = try worker(of: client)
                #expect(try client.ask(.bindDetached(first + 1)) == true)
                #expect(try worker(of: client) == first)
                #expect(try client.ask(.userID(client.fd)) == first + 1)
            }
        }

        /// dispatch_func, dispatch_fallback, dispatch_func_discard
        @Test func aFunctionDecides() throws {
            try ServerProcess.run(.dispatch, workers: 3, { $0.dispatch = .function }) { server in
                let packets = try Connection.datagrams(port: server.ports[1])
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
