import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// A client that sends as fast as it can leaves the others their share.
    @Suite struct FairnessTests {
        /// A client that sends small messages without a pause while a test goes on.
        private struct Flood {
            private static let frame = WebSocketClient.frame(2, [UInt8](repeating: 7, count: 10))
            private static let frames = Array(repeatElement(frame, count: 4096).joined())
            let client: WebSocketClient
            let reads: Bool
            private var position = 0
            private(set) var sent = 0
            private(set) var received = 0

            init(_ client: WebSocketClient, reads: Bool = true) {
                self.client = client
                self.reads = reads
            }

            /// Sends as much as the system takes, and reads what is there.
            mutating func goOn() throws {
                for _ in 0..<4 {
                    let count = try client.connection.sendSome(Flood.frames[position...])
                    position = (position + count) % Flood.frames.count
                    sent += count
                    if count == 0 { break }
                }
                while reads, client.connection.hasInput {
                    let count = client.connection.discard()
                    received += count
                    if count < 65_536 { break }
                }
            }

            /// Goes on until the client has an answer.
            mutating func goOn(until client: WebSocketClient) throws {
                try Wait.until("an answer while another client has sent \(sent) bytes") {
                    try goOn()
                    return client.connection.hasInput
                }
            }

            mutating func ask<Value: Codable & Sendable>(_ client: WebSocketClient, _ command: Command) throws -> Value
            {
                try client.send(command)
                try goOn(until: client)
                return try client.answer()
            }

            mutating func ask(_ client: WebSocketClient, _ text: String) throws -> String {
                try client.send(text)
                try goOn(until: client)
                return try client.receiveText()
            }
        }

        private static func memory(_ server: ServerProcess) -> Int {
            ProcessTable.residentBytes(server.running)
        }

        @Test(arguments: ServerMode.supervised, [false, true])
        func othersGetAnswers(_ mode: ServerMode, _ isAsync: Bool) throws {
            // A small ring: each message in it takes an asynchronous handler a millisecond at the end.
            try ServerProcess.run(.behaviour, mode) {
                $0.isAsync = isAsync
                if isAsync { $0.ringSize = 65_536 }
            } test: { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                var flood = Flood(try WebSocketClient(port: server.port, welcome: false))
                for _ in 0..<20 { try flood.goOn() }
                let memory = FairnessTests.memory(server)
                let sent = flood.sent
                let received = flood.received
                let ticks: Int = try flood.ask(client, .ticks)
                for index in 0..<100 { #expect(try flood.ask(client, "\(index)") == "\(index)") }
                #expect(try flood.ask(client, .ticks) > ticks, "the worker's timers run meanwhile")
                #expect(flood.sent > sent && flood.received > received, "the flood went on")
                #expect(FairnessTests.memory(server) - memory < 48 << 20)
                #expect(server.events(.refused).isEmpty)
            }
        }

        @Test(arguments: ServerMode.supervised) func oneThatReadsNothingHarmsNobody(_ mode: ServerMode) throws {
            try ServerProcess.run(.behaviour, mode) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                var flood = Flood(try WebSocketClient(port: server.port, welcome: false), reads: false)
                let memory = FairnessTests.memory(server)
                while flood.sent < 1 << 20 { try flood.goOn() }
                for index in 0..<300 { #expect(try flood.ask(client, "\(index)") == "\(index)") }
                #expect(FairnessTests.memory(server) - memory < 48 << 20)
                #expect(server.events(.refused).isEmpty)
            }
        }

        @Test(arguments: ServerMode.supervised) func clientsOfEitherWorkerGetAnswers(_ mode: ServerMode) throws {
            try ServerProcess.run(.behaviour, mode, workers: 2) { server in
                var clients: [Int: [WebSocketClient]] = [:]
                try Wait.until("two connections to each worker") {
                    let client = try WebSocketClient(port: server.port, welcome: false)
                    clients[try client.who().id, default: []].append(client)
                    return clients.count == 2 && clients.values.allSatisfy { $0.count >= 2 }
                }
                var flood = Flood(try #require(clients[0]?.last))
                let others = try [#require(clients[0]?.first), #require(clients[1]?.first)]
                for _ in 0..<20 { try flood.goOn() }
                let sent = flood.sent
                for index in 0..<50 {
                    for client in others { #expect(try flood.ask(client, "\(index)") == "\(index)") }
                }
                #expect(flood.sent > sent)
            }
        }

        @Test(arguments: ServerMode.supervised) func manyConnectionsGetAnswers(_ mode: ServerMode) throws {
            try ServerProcess.run(.behaviour, mode) { server in
                let clients = try (0..<500).map { _ in try WebSocketClient(port: server.port, welcome: false) }
                var flood = Flood(try WebSocketClient(port: server.port, welcome: false))
                for _ in 0..<20 { try flood.goOn() }
                let sent = flood.sent
                for round in 0..<2 {
                    for client in clients { try client.send("round \(round)") }
                    for client in clients {
                        try flood.goOn(until: client)
                        #expect(try client.receiveText() == "round \(round)")
                    }
                }
                #expect(flood.sent > sent)
            }
        }
    }
}
