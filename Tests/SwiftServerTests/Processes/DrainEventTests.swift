import SwiftServer
import Testing

extension ProcessTests {
    /// What handlers learn of a connection whose output queue was full.
    @Suite struct DrainEventTests {
        private static let options = ["maxQueue=200000"]

        private func ports(_ server: ServerProcess) throws -> [Int] {
            try server.line("ports").split(separator: " ").dropFirst().map { try #require(Int($0)) }
        }

        /// Reads what the server has sent, and returns the number of its messages before "drained".
        private func readUntilDrained(_ client: WebSocketClient) throws -> Int {
            var count = 0
            while try client.receiveText() != "drained" { count += 1 }
            return count
        }

        @Test(arguments: ServerMode.supervised, ["", "async=1"])
        func aSlowWebSocketDrains(_ mode: ServerMode, _ form: String) throws {
            try ServerProcess.run("drain", mode, workers: 2, DrainEventTests.options + [form]) { server in
                let client = try WebSocketClient(port: server.port)
                let other = try WebSocketClient(port: server.port)
                try client.send("fill")
                try server.line("full \(client.fd)")
                #expect(server.lines("drained").isEmpty)
                #expect(try readUntilDrained(client) > 40)
                try server.line("drained \(client.fd)")
                // It may fill up, and drain, again.
                try client.send("fill")
                try server.line("full \(client.fd)", 2)
                #expect(try readUntilDrained(client) > 40)
                #expect(server.lines("drained \(client.fd)").count == 2 && server.lines("drained").count == 2)
                _ = other
            }
        }

        @Test(arguments: ServerMode.supervised) func aPortHasItsOwnHandler(_ mode: ServerMode) throws {
            try ServerProcess.run("drain", mode, workers: 2, DrainEventTests.options) { server in
                let client = try Connection(port: try ports(server)[1])
                try client.send("fill")
                try server.line("full")
                let bytes = try client.takeRest()
                #expect(bytes.count > 200_000 && String(decoding: bytes.suffix(7), as: UTF8.self) == "drained")
                #expect(try server.line("port drained").hasPrefix("port drained "))
                #expect(server.lines("drained").isEmpty)
            }
        }

        /// The server's handler pushes, which a stream refuses: only the line shows that it was called.
        @Test(arguments: ServerMode.supervised) func aPortWithoutAHandlerUsesTheServers(_ mode: ServerMode) throws {
            try ServerProcess.run("drain", mode, DrainEventTests.options) { server in
                let client = try Connection(port: try ports(server)[2])
                try client.send("fill")
                try server.line("full")
                try Wait.until("the end of the queue") {
                    _ = try client.take(4096)
                    return !server.lines("drained").isEmpty
                }
                #expect(server.lines("port drained").isEmpty)
            }
        }
    }
}
