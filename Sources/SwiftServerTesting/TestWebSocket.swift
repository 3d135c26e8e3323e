/// A WebSocket client of a server under test: `try await client.webSocket("/chat")`.
///
/// It sends what it is asked to send, valid or not, and answers nothing by itself: pings and closes are received as
/// messages. Each call ends after ``TestClient/patience`` at the latest, with a ``TestFailure``.
public final class TestWebSocket: @unchecked Sendable {
    // `@unchecked`: `blocking` is used on the connection's queue only.
    /// The connection below, for bytes that are no frames.
    public let connection: TestConnection
    /// The answer to the handshake, with status 101.
    public let response: TestResponse
    private let blocking: RawWebSocket

    static func open(
        _ connection: TestConnection, _ target: String, fields: [(name: String, value: String)], subprotocols: [String]
    ) async throws -> TestWebSocket {
        var lines = fields.map { "\($0.name): \($0.value)\r\n" }.joined()
        if !subprotocols.isEmpty { lines += "Sec-WebSocket-Protocol: \(subprotocols.joined(separator: ", "))\r\n" }
        let handshake = RawWebSocket.handshake(target, lines)
        return try await connection.perform { blocking in
            let client = RawWebSocket(blocking)
            try blocking.send(handshake)
            return TestWebSocket(connection, try client.finishHandshake(), client)
        }
    }

    private init(_ connection: TestConnection, _ response: TestResponse, _ blocking: RawWebSocket) {
        self.connection = connection
        self.response = response
        self.blocking = blocking
    }

    /// The subprotocol that the server has chosen.
    public var subprotocol: String? { response["Sec-WebSocket-Protocol"] }

    // MARK: Sending

    /// Sends a text message.
    public func send(_ text: String) async throws { try await send(frame: 1, [UInt8](text.utf8)) }

    /// Sends a binary message.
    public func send(_ bytes: [UInt8]) async throws { try await send(frame: 2, bytes) }

    /// Sends a ping.
    public func ping(_ payload: [UInt8] = []) async throws { try await send(frame: 9, payload) }

    /// Sends a close frame. The server's answer is the next message.
    public func close(code: UInt16 = 1000, reason: String = "") async throws {
        try await send(frame: 8, [UInt8(code >> 8), UInt8(code & 255)] + [UInt8](reason.utf8))
    }

    /// Sends one frame, which need not be valid.
    ///
    /// - Parameters:
    ///   - opcode: the four bits of the opcode.
    ///   - payload: not checked.
    ///   - final: whether it is the last fragment of its message.
    ///   - masked: whether it is masked, as a client's frames must be.
    public func send(frame opcode: UInt8, _ payload: [UInt8], final: Bool = true, masked: Bool = true) async throws {
        try await connection.perform { [self] _ in
            try blocking.send(opcode, payload, final: final, masked: masked)
        }
    }

    // MARK: Receiving

    /// The next message or control frame; ``TestMessage/end`` at the end of the connection.
    public func receive() async throws -> TestMessage {
        try await connection.perform { [self] _ in try blocking.receive() }
    }

    /// The text of the next message, which must be a text.
    public func receiveText() async throws -> String {
        try await connection.perform { [self] _ in try blocking.receiveText() }
    }

    /// Sends a text and returns the text of the next message.
    public func ask(_ text: String) async throws -> String {
        try await send(text)
        return try await receiveText()
    }
}
