import Testing

@testable import SwiftServer

@Suite struct FrameCodingTests {
    @Test func framesAreEncodedAsTheStandardShows() throws {
        // RFC 6455, section 5.7.
        #expect(try Frame.pack("Hello") == [0x81, 0x05, 0x48, 0x65, 0x6c, 0x6c, 0x6f])
        let masked: [UInt8] = [0x81, 0x85, 0x37, 0xfa, 0x21, 0x3d, 0x7f, 0x9f, 0x4d, 0x51, 0x58]
        #expect(try WebSocketServer.pack("Hello", mask: [0x37, 0xfa, 0x21, 0x3d]) == masked)
        #expect(try Frame.pack("Hel", finish: false) == [0x01, 0x03, 0x48, 0x65, 0x6c])
        #expect(try Frame.pack([0x6c, 0x6f], opcode: .continuation) == [0x80, 0x02, 0x6c, 0x6f])
        #expect(try Frame.pack([UInt8](repeating: 0, count: 256)).prefix(4) == [0x82, 0x7E, 0x01, 0x00])
        #expect(
            try Frame.pack([UInt8](repeating: 0, count: 65_536)).prefix(10) == [0x82, 0x7F, 0, 0, 0, 0, 0, 1, 0, 0])
        let unpacked = try #require(try WebSocketServer.unpack(masked))
        #expect(unpacked.frame.text == "Hello")
        #expect(unpacked.isMasked)
        #expect(!unpacked.isCompressed)
        #expect(unpacked.size == masked.count)
    }

    @Test(arguments: [0, 1, 125, 126, 65_535, 65_536], [nil, [1, 2, 3, 4] as [UInt8]?])
    func whatIsPackedIsUnpacked(_ count: Int, _ mask: [UInt8]?) throws {
        let bytes = (0..<count).map { UInt8(truncatingIfNeeded: $0) }
        let packed = try Frame.pack(bytes, mask: mask)
        let unpacked = try #require(try Frame.unpack(packed))
        #expect(unpacked.frame.bytes == bytes)
        #expect(unpacked.frame.opcode == .binary)
        #expect(unpacked.size == packed.count)
        #expect(unpacked.isMasked == (mask != nil))
        #expect(try unpacked.frame.packed(mask: mask) == packed)
        #expect(try Frame.unpack(packed.dropLast()) == nil)
    }

    @Test func severalFramesAreUnpackedOneByOne() throws {
        let bytes =
            try Frame.pack("a", finish: false) + Frame.pack([], opcode: .ping) + Frame.pack("b", opcode: .continuation)
        var found: [Frame] = []
        var offset = 0
        while let next = try Frame.unpack(bytes, at: offset) {
            found.append(next.frame)
            offset += next.size
        }
        #expect(offset == bytes.count)
        #expect(found.map(\.opcode) == [.text, .ping, .continuation])
        #expect(found.map(\.finish) == [false, true, true])
        #expect(try Frame.unpack([]) == nil)
        for count in 0..<4 { #expect(try Frame.unpack(Array(bytes[..<min(count, 2)])) == nil) }
    }

    @Test func mistakesAreErrors() throws {
        #expect(throws: FrameError.self) { try Frame.pack([], opcode: Opcode(rawValue: 3)) }
        #expect(throws: FrameError.self) { try Frame.pack([], opcode: Opcode(rawValue: 0x81)) }
        #expect(throws: FrameError.self) { try Frame.pack([], opcode: .ping, finish: false) }
        #expect(throws: FrameError.self) { try Frame.pack([UInt8](repeating: 0, count: 126), opcode: .pong) }
        #expect(throws: FrameError.self) { try Frame.pack([], mask: [1, 2, 3]) }
        #expect(throws: FrameError.self) { try Frame.unpack([0x83, 0]) }
        #expect(throws: FrameError.self) { try Frame.unpack([0xB1, 0]) }
        #expect(throws: FrameError.self) { try Frame.unpack([0x89, 0x7E, 0, 126]) }
        #expect(throws: FrameError.self) { try Frame.unpack([], at: 1) }
        #expect(throws: FrameError.self) { try Frame.unpack([1], at: -1) }
    }

    @Test func closeFramesHaveCodeAndReason() throws {
        let close = CloseFrame(code: 4000, reason: "bye")
        #expect(close.payload == [0x0F, 0xA0, 0x62, 0x79, 0x65])
        let frame = Frame(fd: ConnectionID(rawValue: 7), close)
        #expect(frame.closeFrame == close)
        #expect(frame.description == "close of 7: close 4000 (bye)")
        #expect(CloseFrame(payload: []) == CloseFrame(code: 1005))
        #expect(CloseFrame(payload: [3]) == nil)
        #expect(CloseFrame(payload: [0, 0]) == nil)
        #expect(CloseFrame(payload: [0x03, 0xE8, 0xFF]) == nil)
        #expect(CloseFrame(code: 1005).payload.isEmpty)
        let long = CloseFrame(reason: String(repeating: "é", count: 100))
        #expect(CloseFrame(payload: long.payload)?.reason == String(repeating: "é", count: 61))
        #expect(Frame(fd: frame.fd, opcode: .text, bytes: close.payload).closeFrame == nil)
    }

    @Test func framesDescribeThemselves() {
        let fd = ConnectionID(rawValue: 7)
        #expect("\(Frame(fd: fd, bytes: [UInt8]("hello".utf8)))" == "text of 7: \"hello\"")
        #expect("\(Frame(fd: fd, opcode: .binary, finish: false, bytes: [1, 2]))" == "unfinished binary of 7: 2 bytes")
        let long = Frame(fd: fd, bytes: [UInt8](repeating: 120, count: 100))
        #expect(long.description == "text of 7: \"\(String(repeating: "x", count: 64))...\" (100 bytes)")
    }
}
