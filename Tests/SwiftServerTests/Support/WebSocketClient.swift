import SwiftServer
import TestProtocol

/// A WebSocket client that sends anything, valid or not. It has its own coding of frames, so that a mistake in that of
/// the library cannot go unnoticed.
final class WebSocketClient {
    enum Message: Equatable {
        case text(String)
        case binary([UInt8])
        case ping([UInt8])
        case pong([UInt8])
        case close(UInt16, String)
        /// The connection ended.
        case end
    }

    let connection: Connection
    /// The server's name for the connection, in scenarios that welcome each client with it.
    private(set) var fd = ConnectionID(rawValue: 0)

    /// The example of RFC 6455, section 1.3.
    static let handshake = """
        GET /chat?room=1 HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n
        """

    init(port: Int, welcome: Bool = true) throws {
        connection = try Connection(port: port)
        try connection.send(WebSocketClient.handshake)
        try finishHandshake()
        if welcome { try takeWelcome() }
    }

    /// On a connection on which everything is still to be done.
    init(_ connection: Connection) { self.connection = connection }

    func finishHandshake() throws {
        let response = try connection.takeResponse()
        guard response.status == 101, response.all("Sec-WebSocket-Accept") == ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="] else {
            throw Connection.Broken(what: "handshake answered by \(response)")
        }
    }

    func takeWelcome() throws {
        let message = try receive()
        guard case .text(let text) = message, let welcome = try? decoded(Welcome.self, text) else {
            throw Connection.Broken(what: "no welcome but \(message)")
        }
        fd = welcome.fd
    }

    // MARK: Sending

    static func frame(_ opcode: UInt8, _ payload: [UInt8], final: Bool = true, masked: Bool = true) -> [UInt8] {
        let mask: [UInt8] = masked ? [0x12, 0x34, 0x56, 0x78] : [0, 0, 0, 0]
        let bit: UInt8 = masked ? 0x80 : 0
        var bytes = [(final ? 0x80 : 0) | opcode]
        switch payload.count {
        case ..<126: bytes.append(bit | UInt8(payload.count))
        case ..<65_536: bytes += [bit | 126, UInt8(payload.count >> 8), UInt8(payload.count & 255)]
        default: bytes += [bit | 127] + (0..<8).map { UInt8(truncatingIfNeeded: payload.count >> (56 - 8 * $0)) }
        }
        if masked { bytes += mask }
        return bytes + payload.enumerated().map { $0.element ^ mask[$0.offset & 3] }
    }

    func send(_ opcode: UInt8, _ payload: [UInt8], final: Bool = true, masked: Bool = true) throws {
        try connection.send(WebSocketClient.frame(opcode, payload, final: final, masked: masked))
    }

    func send(_ text: String) throws { try send(1, [UInt8](text.utf8)) }

    func send(_ command: Command) throws { try send(encoded(command)) }

    func sendClose(_ code: UInt16, _ reason: String = "") throws {
        try send(8, [UInt8(code >> 8), UInt8(code & 255)] + [UInt8](reason.utf8))
    }

    // MARK: Receiving

    /// The next frame; the server sends whole messages unless a handler fragments them, which these do not.
    func receive() throws -> Message {
        guard let head = try connection.take(2) else { return .end }
        guard head[0] & 0xF0 == 0x80, head[1] & 0x80 == 0 else { throw Connection.Broken(what: "frame head \(head)") }
        var length = Int(head[1])
        if length > 125 {
            guard let bytes = try connection.take(length == 126 ? 2 : 8) else { return .end }
            length = bytes.reduce(0) { $0 << 8 | Int($1) }
        }
        guard let payload = try connection.take(length) else { return .end }
        switch head[0] & 15 {
        case 1: return .text(String(decoding: payload, as: UTF8.self))
        case 2: return .binary(payload)
        case 8:
            guard payload.count >= 2 else { return .close(1005, "") }
            return .close(UInt16(payload[0]) << 8 | UInt16(payload[1]), String(decoding: payload[2...], as: UTF8.self))
        case 9: return .ping(payload)
        case 10: return .pong(payload)
        default: throw Connection.Broken(what: "frame head \(head)")
        }
    }

    /// The text of the next message, which must be one.
    func receiveText() throws -> String {
        let message = try receive()
        guard case .text(let text) = message else { throw Connection.Broken(what: "no text but \(message)") }
        return text
    }

    func ask(_ text: String) throws -> String {
        try send(text)
        return try receiveText()
    }

    // MARK: Commands

    /// Sends a command; the next message must be its answer.
    func ask<Value: Codable & Sendable>(_ command: Command) throws -> Value {
        try send(command)
        return try answer()
    }

    /// The answer in the next message.
    func answer<Value: Codable & Sendable>() throws -> Value {
        let text = try receiveText()
        guard let answer = try? decoded(Answer<Value>.self, text) else {
            throw Connection.Broken(what: "no answer of type \(Value.self) but \(text)")
        }
        return answer.answer
    }

    /// Sends a command; the next two messages must be its answer and another text, in either order.
    func askAndReceive<Value: Codable & Sendable>(_ command: Command) throws -> (answer: Value, text: String) {
        try send(command)
        let texts = [try receiveText(), try receiveText()]
        for (index, text) in texts.enumerated() {
            if let answer = try? decoded(Answer<Value>.self, text) { return (answer.answer, texts[1 - index]) }
        }
        throw Connection.Broken(what: "no answer in \(texts)")
    }

    /// The result of a task in the next message.
    func finished() throws -> TaskResult { try decoded(Finished.self, receiveText()).finished }

    func who() throws -> WorkerIdentity { try ask(.who) }
}

extension WebSocketClient {
    /// One client of each worker, in their order. The server or the kernel chooses the worker of a connection, so this
    /// may take several connections.
    static func ofEveryWorker(_ count: Int, port: Int) throws -> [WebSocketClient] {
        var found: [Int: WebSocketClient] = [:]
        try Wait.until("a connection to each of \(count) workers") {
            let client = try WebSocketClient(port: port)
            let worker = try client.who().id
            if found[worker] == nil { found[worker] = client }
            return found.count == count
        }
        return (0..<count).map { found[$0]! }
    }
}
