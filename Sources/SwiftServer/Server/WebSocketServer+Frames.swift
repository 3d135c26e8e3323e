/// Frames as bytes.
extension WebSocketServer {
    /// Encodes a frame, to be sent with ``Server/send(_:to:)-([UInt8],_)`` or by a client; see
    /// ``Frame/pack(_:opcode:finish:mask:)-([UInt8],_,_,_)``.
    public static func pack(
        _ bytes: [UInt8], opcode: Opcode = .binary, finish: Bool = true, mask: [UInt8]? = nil
    ) throws(FrameError) -> [UInt8] {
        try Frame.pack(bytes, opcode: opcode, finish: finish, mask: mask)
    }

    /// Encodes a text frame.
    public static func pack(
        _ text: String, opcode: Opcode = .text, finish: Bool = true, mask: [UInt8]? = nil
    ) throws(FrameError) -> [UInt8] {
        try Frame.pack(text, opcode: opcode, finish: finish, mask: mask)
    }

    /// Decodes the frame at `offset`; see ``Frame/unpack(_:at:)``.
    public static func unpack(_ bytes: [UInt8], at offset: Int = 0) throws(FrameError) -> Frame.Unpacked? {
        try Frame.unpack(bytes, at: offset)
    }
}
