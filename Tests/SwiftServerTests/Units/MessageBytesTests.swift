import Glibc
import Synchronization
import Testing

@testable import SwiftServer

/// The bytes of a message while it is being delivered, and afterwards.
@Suite struct MessageBytesTests {
    /// Memory that is overwritten when the message was delivered, as that of a link is.
    @safe private final class Link {
        private let bytes = UnsafeMutableRawBufferPointer.allocate(byteCount: 5, alignment: 1)
        var memory = MessageMemory()

        deinit { unsafe bytes.deallocate() }

        func deliver(_ text: String, _ body: (Frame) -> Void) {
            unsafe bytes.copyBytes(from: text.utf8)
            let message = unsafe memory.lend(UnsafeRawBufferPointer(rebasing: bytes[..<text.utf8.count]))
            body(Frame(fd: ConnectionID(rawValue: 1), opcode: .text, received: message))
            settle()
        }

        func settle() {
            memory.settle()
            overwrite()
        }

        func overwrite() { unsafe bytes.initializeMemory(as: UInt8.self, repeating: 0x21) }

        func isLent(_ frame: Frame) -> Bool {
            unsafe frame.withBuffer { unsafe $0.baseAddress == UnsafeRawPointer(bytes.baseAddress) }
        }
    }

    @Test func aMessageIsNotCopiedBeforeSomebodyKeepsIt() {
        let link = Link()
        var kept: [Frame] = []
        link.deliver("first") { #expect(link.isLent($0) && $0.text == "first" && link.isLent($0)) }
        link.deliver("later") { frame in
            #expect(link.isLent(frame) && frame.count == 5)
            kept.append(frame)
        }
        link.deliver("last") { kept.append($0) }
        link.deliver("gone") { _ in }
        #expect(kept.map(\.text) == ["later", "last"])
        #expect(kept.map(\.count) == [5, 4])
        #expect(kept.allSatisfy { !link.isLent($0) })
        #expect(kept[0] != kept[1] && kept[0] == Frame(fd: kept[0].fd, bytes: Array("later".utf8)))
    }

    private func address(of bytes: [UInt8]) -> UInt {
        unsafe bytes.withUnsafeBytes { UInt(bitPattern: $0.baseAddress) }
    }

    @Test func itsArrayIsMadeOnce() {
        let link = Link()
        var kept: [UInt8] = []
        link.deliver("array") { frame in
            let first = address(of: frame.bytes)
            #expect(address(of: frame.bytes) == first)
            kept = frame.bytes
        }
        link.deliver("other") { #expect($0.bytes == Array("other".utf8) && $0.hashValue == $0.hashValue) }
        #expect(kept == Array("array".utf8))
    }

    @Test func anEmptyMessageHasNoBytes() {
        var memory = MessageMemory()
        let message = unsafe memory.lend(UnsafeRawBufferPointer(start: nil, count: 0))
        let frame = Frame(fd: ConnectionID(rawValue: 1), opcode: .binary, received: message)
        #expect(frame.bytes.isEmpty && frame.count == 0 && frame.withBytes { $0.byteCount } == 0)
        memory.settle()
        #expect(frame.text == "")
    }

    /// The next message of the same input is taken while the one before is still there.
    @Test func theNextOneEndsTheLoan() {
        let link = Link()
        link.deliver("one") { one in
            let other = Array("two".utf8)
            unsafe other.withUnsafeBytes { buffer in
                let two = unsafe Frame(fd: one.fd, opcode: .text, received: link.memory.lend(buffer))
                link.overwrite()
                #expect(one.text == "one" && two.text == "two")
                link.settle()
            }
        }
    }

    private final class Received: Sendable {
        let frames = Mutex<[Frame]>([])
    }

    /// Another thread may have the frame before the handler returns: it gets the bytes whenever it asks.
    @Test func anotherThreadGetsACopy() async {
        for round in 0..<200 {
            let text = "\(round % 10)2345"
            let received = Received()
            let reader = Task.detached {
                var seen = 0
                while seen < 3 {
                    guard let frame = received.frames.withLock({ $0.popLast() }) else {
                        await Task.yield()
                        continue
                    }
                    #expect(frame.text == text && frame.bytes == Array(text.utf8))
                    seen += 1
                }
            }
            let loop = Task.detached {
                let link = Link()
                for _ in 0..<3 { link.deliver(text) { frame in received.frames.withLock { $0.append(frame) } } }
            }
            await loop.value
            await reader.value
        }
    }
}
