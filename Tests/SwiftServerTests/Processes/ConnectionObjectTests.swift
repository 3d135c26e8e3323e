import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Connections as objects.
    @Suite struct ConnectionObjectTests {
        @Test(arguments: ServerMode.supervised) func aWebSocketIsUsedThroughIt(_ mode: ServerMode) throws {
            try ServerProcess.run(.connection, mode) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hello") == "hello")
                let info: ConnectionReport? = try client.ask(.info(client.fd))
                #expect(info?.fd == client.fd && info?.status == .established)
                try client.send(.bytes([UInt8]("bytes".utf8)))
                #expect(try client.receive() == .binary([UInt8]("bytes".utf8)))
                #expect(try client.ask(.send("no stream")) == PushResult.notStream)
                try client.send(.pushDetached("from elsewhere"))
                #expect(try client.receiveText() == "from elsewhere")
                #expect(try server.event(.detachedPush) == .detachedPush(.queued, exists: true))
                try client.send(.close(4000, "bye"))
                #expect(try client.receive() == .close(4000, "bye"))
                #expect(try server.event(.closing) == .closing(true))
                try client.sendClose(4000, "bye")
                try server.expectClose(of: client.fd, code: 4000)
                #expect(try server.event(.afterClose) == .afterClose(isKnown: false, close: false, push: .closed))
                try server.wait(for: .requestAfterClose(isKept: false))
            }
        }

        @Test(arguments: ServerMode.supervised) func aStreamIsUsedThroughIt(_ mode: ServerMode) throws {
            try ServerProcess.run(.connection, mode) { server in
                let client = try Connection(port: server.ports[1])
                try client.send("bytes")
                #expect(String(decoding: try client.takeRest(), as: UTF8.self) == "bytes true")
            }
        }

        @Test(arguments: ServerMode.supervised) func handshakesAreKeptOnDemand(_ mode: ServerMode) throws {
            try ServerProcess.run(.connection, mode, { $0.keepsHandshakes = true }) { server in
                let clients = try (0..<2).map { _ in try WebSocketClient(port: server.port) }
                for client in clients { #expect(try client.ask(.handshakeRequest) == ["GET", "/chat?room=1"]) }
                clients[0].connection.disconnect()
                // Still there for onClose, gone afterwards.
                guard case .afterClose(_, _, push: .closed) = try server.event(.afterClose) else {
                    Issue.record("another result: \(server.events)")
                    return
                }
                try server.wait(for: .requestAfterClose(isKept: true))
                #expect(try clients[1].ask(.handshakeRequest) == ["GET", "/chat?room=1"])
            }
            try ServerProcess.run(.connection, mode) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.handshakeRequest) == [String]?.none)
            }
        }

        @Test func theMasterHasNone() throws {
            try ServerProcess.run(.connection) { server in
                let event = try server.event(.masterPush)
                #expect(event == .masterPush(.closed))
            }
        }
    }
}
