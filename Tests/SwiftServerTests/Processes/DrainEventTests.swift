import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// What handlers learn of a connection whose output queue was full.
    @Suite struct DrainEventTests {
        private static func configure(_ configuration: inout Configuration) { configuration.maxQueue = 200_000 }

        /// Reads what the server has sent, and returns the number of its messages before "drained".
        private func readUntilDrained(_ client: WebSocketClient) throws -> Int {
            var count = 0
            while try client.receiveText() != "drained" { count += 1 }
            return count
        }

        @Test(arguments: ServerMode.supervised, [false, true])
        func aSlowWebSocketDrains(_ mode: ServerMode, _ isAsync: Bool) throws {
            try ServerProcess.run(.drain, mode, workers: 2) {
                $0.maxQueue = 200_000
                $0.isAsync = isAsync
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                let other = try WebSocketClient(port: server.port)
                try client.send("fill")
                try server.wait(for: .full(client.fd))
                #expect(server.events(.drained).isEmpty)
                #expect(try readUntilDrained(client) > 40)
                try server.wait(for: .drained(client.fd))
                // It may fill up, and drain, again.
                try client.send("fill")
                try server.wait(for: .full(client.fd), 2)
                #expect(try readUntilDrained(client) > 40)
                #expect(server.events(.drained) == [.drained(client.fd), .drained(client.fd)])
                _ = other
            }
        }

        @Test(arguments: ServerMode.supervised) func aPortHasItsOwnHandler(_ mode: ServerMode) throws {
            try ServerProcess.run(.drain, mode, workers: 2, DrainEventTests.configure) { server in
                let client = try Connection(port: server.ports[1])
                try client.send("fill")
                try server.event(.full)
                let bytes = try client.takeRest()
                #expect(bytes.count > 200_000 && String(decoding: bytes.suffix(7), as: UTF8.self) == "drained")
                try server.event(.portDrained)
                #expect(server.events(.drained).isEmpty)
            }
        }

        /// The server's handler pushes, which a stream refuses: only the line shows that it was called.
        @Test(arguments: ServerMode.supervised) func aPortWithoutAHandlerUsesTheServers(_ mode: ServerMode) throws {
            try ServerProcess.run(.drain, mode, DrainEventTests.configure) { server in
                let client = try Connection(port: server.ports[2])
                try client.send("fill")
                try server.event(.full)
                try Wait.until("the end of the queue") {
                    _ = try client.take(4096)
                    return !server.events(.drained).isEmpty
                }
                #expect(server.events(.portDrained).isEmpty)
            }
        }
    }
}
