import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// The blocking WebSocket client for scripts, row Q9.
    @Suite struct BlockingWebSocketTests {
        private static let limit = Duration.seconds(20)

        @Test(arguments: ServerMode.supervised) func messages(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let socket = try BlockingWebSocket.connect("ws://127.0.0.1:\(server.port)/chat")
                #expect(socket.isOpen && !socket.isCompressed && socket.subprotocol == nil)
                _ = try socket.recv(timeout: Self.limit)  // the welcome
                try socket.push("grüße")
                let text = try socket.recv(timeout: Self.limit)
                #expect(text?.text == "grüße" && text?.opcode == .text)
                let bytes = (0..<100_000).map { UInt8(truncatingIfNeeded: $0 &* 7) }
                try socket.push(bytes, timeout: Self.limit)
                let large = try socket.recv(timeout: Self.limit)
                #expect(large?.bytes == bytes && large?.opcode == .binary)
                try socket.push(Array("a".utf8), opcode: .text, finish: false)
                try socket.ping(Array("p".utf8))
                try socket.push(Array("b".utf8), opcode: .continuation)
                let joined = try socket.recv(timeout: Self.limit)
                #expect(joined?.text == "ab")
                let invalid = #expect(throws: ClientError.self) { try socket.push([0xff], opcode: .text) }
                #expect(invalid?.code == .invalidMessage)
                let late = #expect(throws: ClientError.self) { _ = try socket.recv(timeout: .milliseconds(1)) }
                #expect(late?.code == .timedOut)
                let wrong = #expect(throws: ClientError.self) { try socket.close(code: 999) }
                #expect(wrong?.code == .invalidArgument)
                try socket.close(code: 4000, reason: "done")
                try server.expectClose(code: 4000)
                #expect(socket.closeReason == nil || socket.closeReason?.code == 4000)
                #expect(!socket.isOpen)
                try socket.close()
                let closed = #expect(throws: ClientError.self) { try socket.push("late") }
                #expect(closed?.code == .closed)
            }
        }

        @Test func theServerCloses() throws {
            try ServerProcess.run(.general) { server in
                let socket = try BlockingWebSocket.connect("ws://localhost:\(server.port)")
                _ = try socket.recv(timeout: Self.limit)
                try socket.push(encoded(Command.close(4321, "enough")))
                let end = try socket.recv(timeout: Self.limit)
                #expect(end == nil)
                #expect(socket.closeReason?.description == "closed by the server with code 4321: enough")
            }
        }

        @Test func refusalsAndSubprotocols() throws {
            try ServerProcess.run(.straightLine) { server in
                let url = "ws://127.0.0.1:\(server.port)/login"
                let error = #expect(throws: ClientError.self) { _ = try BlockingWebSocket.connect(url) }
                #expect(error?.code == .handshake)
                #expect(error?.status == 401)
                let socket = try BlockingWebSocket.connect(url + "?token=secret") {
                    $0.subprotocols = ["one", "two"]
                    $0.fields = [("X-Test", "1")]
                }
                #expect(socket.subprotocol == "two")
                let welcome = try socket.recv(timeout: Self.limit)
                #expect(welcome?.text == "welcome")
            }
        }

        @Test func limits() throws {
            try ServerProcess.run(.echo) { server in
                let socket = try BlockingWebSocket.connect("ws://127.0.0.1:\(server.port)") { $0.maxMessage = 100 }
                try socket.push(String(repeating: "x", count: 101))
                let error = #expect(throws: ClientError.self) { _ = try socket.recv(timeout: Self.limit) }
                #expect(error?.code == .protocolError)
                #expect(socket.closeReason?.code == 1009)
                let unused = #expect(throws: ClientError.self) {
                    _ = try BlockingWebSocket.connect("ws://127.0.0.1:1") { $0.reconnects = .exponential() }
                }
                #expect(unused?.code == .invalidArgument)
            }
        }

        #if TLS
        @Test func overTLS() throws {
            let folder = try TLSFolder("one")
            try ServerProcess.run(.echo, .process, { $0.certificate = folder.certificate("one") }) { server in
                let url = "wss://127.0.0.1:\(server.port)"
                let socket = try BlockingWebSocket.connect(url) {
                    $0.tls = ClientTLS(trust: .authorities(.file(folder["authority.pem"])), serverName: "one")
                }
                try socket.push("secret")
                let answer = try socket.recv(timeout: Self.limit)
                #expect(answer?.text == "secret")
                let error = #expect(throws: ClientError.self) { _ = try BlockingWebSocket.connect(url) }
                #expect(error?.code == .tls)
            }
        }
        #endif
    }
}
