package import SwiftServer

/// A WebSocket client that sends anything, valid or not. It has its own coding of frames, so that a mistake in that of
/// the server cannot go unnoticed.
package final class RawWebSocket {
    package typealias Message = TestMessage

    package let connection: RawConnection
    /// The server's name for the connection, for tests whose servers report it.
    package var fd = ConnectionID(rawValue: 0)

    /// The example of RFC 6455, section 1.3.
    package static let handshake = handshake("/chat?room=1")

    package static func handshake(_ target: String, _ fields: String = "") -> String {
        """
        GET \(target) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
        Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\(fields)\r\n
        """
    }

    /// Uses a connection on which no handshake was sent.
    package init(_ connection: RawConnection) { self.connection = connection }

    @discardableResult package func finishHandshake() throws -> TestResponse {
        let response = try connection.takeResponse()
        guard response.status == 101, response.all("Sec-WebSocket-Accept") == ["s3pPLMBiTxaQ9kYGzzhZRbK+xOo="] else {
            throw TestFailure("the handshake was answered by status \(response.status): \(response.body)")
        }
        return response
    }

    // MARK: Sending

    package static func frame(
        _ opcode: UInt8, _ payload: [UInt8], final: Bool = true, masked: Bool = true
    ) -> [UInt8] {
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

    package func send(_ opcode: UInt8, _ payload: [UInt8], final: Bool = true, masked: Bool = true) throws {
        try connection.send(RawWebSocket.frame(opcode, payload, final: final, masked: masked))
    }

    package func send(_ text: String) throws { try send(1, [UInt8](text.utf8)) }

    package func sendClose(_ code: UInt16, _ reason: String = "") throws {
        try send(8, [UInt8(code >> 8), UInt8(code & 255)] + [UInt8](reason.utf8))
    }

    // MARK: Receiving

    /// The next message. Fragments are joined; control frames between them come first.
    package func receive() throws -> Message {
        while true {
            guard let head = try connection.take(2) else { return .end }
            guard head[0] & 0x70 == 0, head[1] & 0x80 == 0 else { throw TestFailure("malformed frame head \(head)") }
            var length = Int(head[1])
            if length > 125 {
                guard let bytes = try connection.take(length == 126 ? 2 : 8) else { return .end }
                length = bytes.reduce(0) { $0 << 8 | Int($1) }
            }
            guard let payload = try connection.take(length) else { return .end }
            if let message = try message(head[0] & 15, isFinal: head[0] & 0x80 != 0, payload) { return message }
        }
    }

    /// The message of which fragments were received.
    private var fragments: (opcode: UInt8, payload: [UInt8])?

    private func message(_ opcode: UInt8, isFinal: Bool, _ payload: [UInt8]) throws -> Message? {
        switch (opcode, isFinal, fragments) {
        case (0, false, let begun?):
            fragments = (begun.opcode, begun.payload + payload)
            return nil
        case (0, true, let begun?):
            fragments = nil
            return whole(begun.opcode, begun.payload + payload)
        case (1...2, false, nil):
            fragments = (opcode, payload)
            return nil
        case (1...2, true, nil), (8...10, true, _): return whole(opcode, payload)
        default: throw TestFailure("a frame of opcode \(opcode) out of sequence")
        }
    }

    private func whole(_ opcode: UInt8, _ payload: [UInt8]) -> Message {
        switch opcode {
        case 1: return .text(String(decoding: payload, as: UTF8.self))
        case 2: return .binary(payload)
        case 8:
            guard payload.count >= 2 else { return .close(1005, "") }
            return .close(UInt16(payload[0]) << 8 | UInt16(payload[1]), String(decoding: payload[2...], as: UTF8.self))
        case 9: return .ping(payload)
        default: return .pong(payload)
        }
    }

    /// The text of the next message, which must be one.
    package func receiveText() throws -> String {
        let message = try receive()
        guard case .text(let text) = message else { throw TestFailure("no text but \(message)") }
        return text
    }

    package func ask(_ text: String) throws -> String {
        try send(text)
        return try receiveText()
    }
}
