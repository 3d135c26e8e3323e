internal import CReactor

/// A frame that cannot be encoded or decoded.
public struct FrameError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The cause in words.
    public let description: String
}

/// Frames as bytes (RFC 6455), without a connection: for tests, proxies, and ``Server/send(_:to:)-([UInt8],_)``.
extension Frame {
    /// Encodes a frame.
    ///
    /// - Parameters:
    ///   - bytes: the payload.
    ///   - opcode: the type of the frame.
    ///   - finish: whether it is the last fragment of its message.
    ///   - mask: the four bytes that mask the payload, as a client's frames must have them; `nil` for a server's.
    /// - Throws: ``FrameError`` for a reserved opcode, a mask that does not have four bytes, and a close, ping or pong
    ///   that is unfinished or has more than 125 bytes.
    public static func pack(
        _ bytes: [UInt8], opcode: Opcode = .binary, finish: Bool = true, mask: [UInt8]? = nil
    ) throws(FrameError) -> [UInt8] {
        guard mask == nil || mask?.count == 4 else {
            throw FrameError(description: "mask must have 4 bytes, got \(mask?.count ?? 0)")
        }
        guard opcode.rawValue <= 0x0F else {
            throw FrameError(description: "opcode must be 0...15, got \(opcode.rawValue)")
        }
        let first = opcode.rawValue | (finish ? UInt8(CRE_WS_FIN) : 0)
        let room = bytes.count + Int(CRE_WS_MAX_HEADER)
        let packed = unsafe [UInt8](unsafeUninitializedCapacity: room) { out, count in
            count = unsafe (mask ?? []).withUnsafeBufferPointer { key in
                unsafe bytes.withUnsafeBufferPointer {
                    unsafe cre_ws_pack(
                        out.baseAddress, room, first, $0.baseAddress, $0.count, mask == nil ? nil : key.baseAddress)
                }
            }
        }
        guard !packed.isEmpty else {
            throw FrameError(
                description: opcode.rawValue >= 8 && opcode.rawValue <= 10
                    ? "a \(opcode) frame must be finished and have at most \(CRE_WS_MAX_CONTROL) bytes, got \(bytes.count)"
                    : "\(opcode) is reserved")
        }
        return packed
    }

    /// Encodes a text frame; see ``pack(_:opcode:finish:mask:)-([UInt8],_,_,_)``.
    public static func pack(
        _ text: String, opcode: Opcode = .text, finish: Bool = true, mask: [UInt8]? = nil
    ) throws(FrameError) -> [UInt8] {
        try pack([UInt8](text.utf8), opcode: opcode, finish: finish, mask: mask)
    }

    /// Encodes this frame; see ``pack(_:opcode:finish:mask:)-([UInt8],_,_,_)``.
    public func packed(mask: [UInt8]? = nil) throws(FrameError) -> [UInt8] {
        try Frame.pack(bytes, opcode: opcode, finish: finish, mask: mask)
    }

    /// A frame that was decoded.
    public struct Unpacked: Sendable, Hashable {
        /// The frame, unmasked. It belongs to no connection.
        public let frame: Frame
        /// The size of the frame with its header: where the next one begins.
        public let size: Int
        /// Whether the payload was masked, as a client's must be.
        public let isMasked: Bool
        /// Whether the payload is compressed (RSV1, permessage-deflate). It is not decompressed.
        public let isCompressed: Bool
    }

    /// Decodes the frame at `offset`, masked or not. `nil` while it is incomplete: call again with more bytes.
    ///
    /// Fragments are not joined, and UTF-8 and close codes are not checked.
    ///
    /// - Throws: ``FrameError`` when the bytes are no frame: the stream is out of step and must be closed.
    public static func unpack(_ bytes: [UInt8], at offset: Int = 0) throws(FrameError) -> Unpacked? {
        guard (0...bytes.count).contains(offset) else {
            throw FrameError(description: "offset must be 0...\(bytes.count), got \(offset)")
        }
        var frame = unsafe cre_ws_frame()
        var payload: [UInt8] = []
        let result = unsafe bytes.withUnsafeBufferPointer { buffer in
            guard let start = buffer.baseAddress else { return Int32(0) }
            let result = unsafe cre_ws_unpack(start + offset, buffer.count - offset, &frame)
            guard result == 1 else { return result }
            unsafe payload = [UInt8](UnsafeBufferPointer(start: frame.payload, count: frame.length))
            return 1
        }
        guard result >= 0 else { throw FrameError(description: errorText(result)) }
        guard result == 1 else { return nil }
        let isMasked = unsafe frame.masked
        if isMasked, !payload.isEmpty {
            unsafe withUnsafeBytes(of: frame.key) { key in
                unsafe payload.withUnsafeMutableBufferPointer {
                    unsafe cre_ws_mask($0.baseAddress, $0.count, key.baseAddress, 0)
                }
            }
        }
        return unsafe Unpacked(
            frame: Frame(
                fd: ConnectionID(rawValue: 0), opcode: Opcode(rawValue: frame.opcode), finish: frame.final,
                bytes: payload), size: frame.size, isMasked: isMasked, isCompressed: frame.rsv1)
    }
}
