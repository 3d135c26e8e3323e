import SwiftServer
import Testing

extension ProcessTests {
    /// Connections as objects.
    @Suite struct ConnectionObjectTests {
        @Test(arguments: ServerMode.supervised) func aWebSocketIsUsedThroughIt(_ mode: ServerMode) throws {
            try ServerProcess.run("connection", mode) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hello") == "hello")
                #expect(try client.ask("info") == "\(client.fd) established")
                try client.send("bytes")
                #expect(try client.receive() == .binary([UInt8]("bytes".utf8)))
                #expect(try client.ask("send") == "notStream")
                try client.send("detached")
                #expect(try client.receiveText() == "from elsewhere")
                #expect(try server.line("detached") == "detached queued true")
                try client.send("close")
                #expect(try client.receive() == .close(4000, "bye"))
                #expect(try server.line("closing") == "closing true")
                try client.sendClose(4000, "bye")
                #expect(try server.line("close") == "close \(client.fd) 4000 closed true")
            }
        }

        @Test(arguments: ServerMode.supervised) func aStreamIsUsedThroughIt(_ mode: ServerMode) throws {
            try ServerProcess.run("connection", mode) { server in
                let ports = try server.line("ports").split(separator: " ").dropFirst().compactMap { Int($0) }
                let client = try Connection(port: ports[1])
                try client.send("bytes")
                #expect(String(decoding: try client.takeRest(), as: UTF8.self) == "bytes true")
            }
        }

        @Test(arguments: ServerMode.supervised) func handshakesAreKeptOnDemand(_ mode: ServerMode) throws {
            try ServerProcess.run("connection", mode, ["keepsHandshakes=1"]) { server in
                let clients = try (0..<2).map { _ in try WebSocketClient(port: server.port) }
                for client in clients { #expect(try client.ask("request") == "GET /chat?room=1") }
                clients[0].connection.disconnect()
                // Still there for onClose, gone afterwards.
                #expect(try server.line("close").hasSuffix(" closed false"))
                #expect(try clients[1].ask("request") == "GET /chat?room=1")
            }
            try ServerProcess.run("connection", mode) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("request") == "none")
            }
        }

        @Test func theMasterHasNone() throws {
            try ServerProcess.run("connection") { server in
                let line = try server.line("master")
                #expect(line == "master closed")
            }
        }
    }
}
