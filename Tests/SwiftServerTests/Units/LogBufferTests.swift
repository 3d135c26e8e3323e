import Glibc
import Testing

@testable import SwiftServer

/// The lines of a log whose reader is slow. The output is an argument.
@Suite struct LogBufferTests {
    /// An output with limited room.
    private final class Output {
        var room = 0
        var error = EAGAIN
        private(set) var bytes: [UInt8] = []

        var text: String { String(decoding: bytes, as: UTF8.self) }

        func write(_ part: ArraySlice<UInt8>) -> Int {
            guard room > 0 else { return -Int(error) }
            let count = min(room, part.count)
            room -= count
            bytes += part.prefix(count)
            return count
        }
    }

    private let output = Output()
    private var buffer = LogBuffer()

    private mutating func add(_ line: String) {
        buffer.add(Array("\(line)\n".utf8), dropLine: { Array("\($0) dropped\n".utf8) }, write: output.write)
    }

    /// Adds a line without a copy. Returns whether that was possible.
    private mutating func addDirectly(_ line: String) -> Bool {
        let output = output
        return unsafe Array("\(line)\n".utf8).withUnsafeBytes { bytes in
            unsafe buffer.addDirectly(bytes) { unsafe output.write(ArraySlice($0)) }
        }
    }

    private mutating func flush() {
        buffer.flush(dropLine: { Array("\($0) dropped\n".utf8) }, write: output.write)
    }

    @Test mutating func linesAreWrittenAtOnceWhileThereIsRoom() {
        output.room = 100
        add("a")
        add("b")
        #expect(output.text == "a\nb\n" && buffer.isEmpty)
    }

    @Test mutating func bufferedLinesKeepTheirOrder() {
        add("a")
        add("b")
        #expect(output.text.isEmpty && !buffer.isEmpty)
        output.room = 100
        add("c")
        #expect(output.text == "a\nb\nc\n" && buffer.isEmpty)
    }

    @Test mutating func aLineThatWasWrittenInPartIsContinued() {
        output.room = 3
        add("abcde")
        #expect(output.text == "abc")
        output.room = 100
        flush()
        #expect(output.text == "abcde\n" && buffer.isEmpty)
    }

    @Test mutating func linesAboveTheLimitAreCountedAndReportedAfterTheOthers() {
        let long = String(repeating: "x", count: LogBuffer.limit / 2 - 1)
        for _ in 0..<2 { add(long) }
        for _ in 0..<7 { add("more") }
        #expect(buffer.dropped == 7)
        output.room = LogBuffer.limit * 2
        add("last")
        #expect(output.text == "\(long)\n\(long)\n7 dropped\nlast\n" && buffer.isEmpty)
    }

    @Test mutating func aLineLongerThanTheLimitWaitsAlone() {
        let long = String(repeating: "x", count: LogBuffer.limit * 2)
        add(long)
        add("more")
        #expect(buffer.dropped == 1)
        output.room = LogBuffer.limit * 3
        flush()
        #expect(output.text == "\(long)\n1 dropped\n" && buffer.isEmpty)
    }

    /// As long as there is room, lines are not copied.
    @Test mutating func linesAreWrittenDirectlyIfNoneIsBuffered() {
        #expect(!addDirectly("a") && output.text.isEmpty && buffer.isEmpty)
        output.room = 5
        #expect(addDirectly("a") && addDirectly("bcdef"))
        #expect(output.text == "a\nbcd" && !buffer.isEmpty)
        output.room = 100
        #expect(!addDirectly("g"))
        flush()
        #expect(output.text == "a\nbcdef\n" && addDirectly("g") && buffer.isEmpty)
        #expect(output.text == "a\nbcdef\ng\n")
    }

    @Test mutating func aLineBehindOneThatWasCutOffIsNotWrittenDirectly() {
        output.room = 2
        #expect(addDirectly("abcde"))
        output.error = ENOSPC
        flush()
        #expect(buffer.dropped == 1 && !addDirectly("more"))
        output.room = 100
        add("last")
        #expect(output.text == "ab\n1 dropped\nlast\n" && addDirectly("more"))
    }

    /// A disk that is full, or a pipe whose reader has ended.
    @Test mutating func linesThatCannotBeWrittenAreCounted() {
        output.error = ENOSPC
        add("a")
        add("b")
        #expect(buffer.dropped == 2 && !buffer.isEmpty)
        output.room = 100
        add("c")
        #expect(output.text == "2 dropped\nc\n" && buffer.isEmpty)
    }

    @Test mutating func aLineThatWasCutOffIsEndedByTheNext() {
        output.error = ENOSPC
        output.room = 3
        add("abcde")
        add("more")
        output.room = 100
        add("last")
        #expect(output.text == "abc\n2 dropped\nlast\n")
    }
}
