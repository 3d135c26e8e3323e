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

    // MARK: Frames that do not count their message

    private final class Handlers {
        var kept: [Frame] = []
        /// Called inside of a handler.
        var whenCalled: () throws -> Void = {}
    }

    private struct Wrong: Error {}

    /// Delivers a message to a handler as a worker does.
    private func deliver(
        _ text: String, by memory: MessageMemoryOwner, to handlers: Handlers,
        _ handler: @escaping @MainActor (Handlers, Frame) throws -> Void
    ) throws {
        var bytes = Array(text.utf8)
        try unsafe bytes.withUnsafeMutableBytes { buffer in
            let message = unsafe memory.memory.lendToFrame(UnsafeRawBufferPointer(buffer))
            defer {
                memory.memory.takeBack(message)
                unsafe buffer.initializeMemory(as: UInt8.self, repeating: 0x21)
            }
            let frame = LentFrame(fd: ConnectionID(rawValue: 7), opcode: .binary, received: message)
            try PlainHandlers.Message(handler).plain.call(handlers, frame)
        }
    }

    private final class MessageMemoryOwner {
        var memory = MessageMemory()
    }

    @Test func aLentFrameIsAFrameForItsHandler() throws {
        let owner = MessageMemoryOwner()
        let handlers = Handlers()
        try deliver("12345", by: owner, to: handlers) { _, frame in
            #expect(frame.fd == ConnectionID(rawValue: 7) && frame.opcode == .binary && frame.finish)
            #expect(unsafe frame.borrowedBytes != nil && frame.text == "12345" && frame.count == 5)
        }
        #expect(throws: Wrong.self) { try deliver("wrong", by: owner, to: handlers) { _, _ in throw Wrong() } }
        try deliver("kept1", by: owner, to: handlers) { handlers, frame in handlers.kept.append(frame) }
        try deliver("kept2", by: owner, to: handlers) { handlers, frame in handlers.kept += [frame, frame] }
        try deliver("gone", by: owner, to: handlers) { _, frame in #expect(unsafe frame.borrowedBytes != nil) }
        #expect(handlers.kept.map(\.text) == ["kept1", "kept2", "kept2"])
    }

    /// A handler may cause the delivery of other messages before it returns. Its own stays as it is, whether they are
    /// counted or not.
    @Test(arguments: [false, true]) func aLentFrameOutlivesMessagesThatAreDeliveredMeanwhile(areCounted: Bool) throws {
        let owner = MessageMemoryOwner()
        let handlers = Handlers()
        handlers.whenCalled = {
            for text in ["two", "three"] {
                if areCounted {
                    let bytes = Array(text.utf8)
                    unsafe bytes.withUnsafeBytes { buffer in
                        let message = unsafe owner.memory.lend(buffer)
                        #expect(message.array == bytes)
                    }
                    owner.memory.settle()
                } else {
                    try deliver(text, by: owner, to: handlers) { #expect($1.text == text) }
                }
            }
        }
        try deliver("one", by: owner, to: handlers) { handlers, frame in
            try handlers.whenCalled()
            #expect(unsafe frame.borrowedBytes == nil)
            #expect(frame.text == "one")
            handlers.kept.append(frame)
        }
        try deliver("four", by: owner, to: handlers) { _, frame in
            #expect(unsafe frame.borrowedBytes != nil)
            #expect(frame.text == "four")
        }
        #expect(handlers.kept.map(\.text) == ["one"])
    }

    /// What nobody has kept is freed: with the memory, or when the handler has returned, if another message has taken
    /// its place meanwhile.
    @Test func aLentMessageIsFreed() {
        let bytes = Array("12345".utf8)
        weak var first: MessageBytes?
        weak var second: MessageBytes?
        do {
            let owner = MessageMemoryOwner()
            unsafe bytes.withUnsafeBytes { buffer in
                let message = unsafe owner.memory.lendToFrame(buffer)
                first = message.object
                second = unsafe owner.memory.lend(buffer)
                owner.memory.settle()
                #expect(first != nil && first !== second)
                owner.memory.takeBack(message)
                #expect(first == nil && second != nil)
            }
        }
        #expect(second == nil)
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
