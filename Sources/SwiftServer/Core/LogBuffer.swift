internal import Glibc

/// The lines of a log whose reader is slow, up to a limit. Lines above it are dropped and counted.
struct LogBuffer {
    /// Writes bytes without waiting: returns how many were written, or a negative error.
    typealias Writer = (ArraySlice<UInt8>) -> Int
    /// Returns the line that reports a number of dropped lines.
    typealias DropLine = (Int) -> [UInt8]

    /// The number of bytes that may be buffered.
    static let limit = 64 << 10

    /// The buffered lines, oldest first.
    private var lines: [[UInt8]] = []
    /// The number of bytes of the first line that are written.
    private var written = 0
    private var size = 0
    /// The number of lines that were dropped since the last report.
    private(set) var dropped = 0
    /// Whether the last line in the output lacks its end.
    private var isCut = false

    /// Whether nothing must be written later.
    var isEmpty: Bool { lines.isEmpty && dropped == 0 }

    /// Writes a line, after those that are buffered.
    mutating func add(_ line: [UInt8], dropLine: DropLine, write: Writer) {
        flush(dropLine: dropLine, write: write)
        if dropped > 0 || !enqueue(line) {
            dropped += 1
        } else if lines.count == 1 {
            flush(dropLine: dropLine, write: write)
        }
    }

    /// Writes a line without a copy of it, as far as there is room; the rest is buffered. Returns false, with nothing
    /// done, when the line must be added after others, or cannot be written now.
    mutating func addDirectly(_ line: UnsafeRawBufferPointer, write: (UnsafeRawBufferPointer) -> Int) -> Bool {
        guard isEmpty, !isCut else { return false }
        let result = unsafe write(line)
        guard result > 0 else { return false }
        if result < line.count {
            unsafe lines.append([UInt8](line))
            (written, size) = (result, line.count)
        }
        return true
    }

    /// Writes as many buffered lines as there is room for, and then reports dropped lines.
    mutating func flush(dropLine: DropLine, write: Writer) {
        writeLines(write)
        guard lines.isEmpty, dropped > 0 else { return }
        let (count, wasCut) = (dropped, isCut)
        guard enqueue(dropLine(count)) else { return }
        dropped = 0
        writeLines(write)
        guard dropped > 0 else { return }
        // The report itself could not be written.
        dropped = count
        isCut = isCut || wasCut
    }

    private mutating func enqueue(_ line: [UInt8]) -> Bool {
        guard lines.isEmpty || size + line.count <= LogBuffer.limit else { return false }
        lines.append(isCut ? [UInt8(ascii: "\n")] + line : line)
        isCut = false
        size += line.count
        return true
    }

    private mutating func writeLines(_ write: Writer) {
        var first = 0
        defer { lines.removeFirst(first) }
        while first < lines.count {
            let result = write(lines[first][written...])
            guard result >= 0 else {
                if result != -Int(EAGAIN) { discard(from: &first) }
                return
            }
            written += result
            guard written == lines[first].count else { continue }
            size -= written
            written = 0
            first += 1
        }
    }

    /// Drops all buffered lines, since the output cannot be written.
    private mutating func discard(from first: inout Int) {
        dropped += lines.count - first
        isCut = isCut || written > 0
        (first, written, size) = (lines.count, 0, 0)
    }
}
