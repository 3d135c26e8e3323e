internal import CReactor

/// The close frame of a WebSocket: how either side says why it closes.
public struct CloseFrame: Sendable, Hashable, CustomStringConvertible {
    /// The close code; 1005 when the frame has none.
    public let code: UInt16
    /// The reason as text; may be empty.
    public let reason: String

    /// Makes a close frame.
    public init(code: UInt16 = 1000, reason: String = "") {
        self.code = code
        self.reason = reason
    }

    /// Reads the payload of a close frame. `nil` when it is malformed: one byte, a code that may not be sent, or a
    /// reason that is not UTF-8.
    public init?(payload: [UInt8]) {
        guard !payload.isEmpty else {
            self.init(code: 1005)
            return
        }
        guard payload.count >= 2, payload.count <= Int(CRE_WS_MAX_CONTROL) else { return nil }
        let code = UInt16(payload[0]) << 8 | UInt16(payload[1])
        guard cre_ws_close_code_valid(UInt32(code)),
            let reason = String(validating: payload.dropFirst(2), as: UTF8.self)
        else { return nil }
        self.init(code: code, reason: reason)
    }

    /// The payload on the wire. A reason of more than 123 bytes is cut between two characters. Empty for code 1005, and
    /// for a code that may not be sent.
    public var payload: [UInt8] {
        unsafe [UInt8](unsafeUninitializedCapacity: Int(CRE_WS_MAX_CONTROL)) { out, count in
            var reason = reason
            count = reason.withUTF8 { text in
                unsafe text.withMemoryRebound(to: CChar.self) {
                    unsafe cre_ws_close_payload(out.baseAddress, code, $0.baseAddress, $0.count)
                }
            }
        }
    }

    /// Code and reason.
    public var description: String { reason.isEmpty ? "close \(code)" : "close \(code) (\(reason))" }
}

extension Frame {
    /// Makes the frame that closes a connection.
    public init(fd: ConnectionID, _ close: CloseFrame) {
        self.init(fd: fd, opcode: .close, bytes: close.payload)
    }

    /// Code and reason when this is a close frame; `nil` for other frames, and for a malformed payload.
    public var closeFrame: CloseFrame? { opcode == .close ? CloseFrame(payload: bytes) : nil }
}

extension CloseReason {
    /// The close frame that the peer has sent; `nil` when the connection was closed in another way.
    public var closeFrame: CloseFrame? {
        cause == .peer && code != 1006 && code != 0 ? CloseFrame(code: code, reason: text) : nil
    }
}
