internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The output of one process's log: a file, or standard error. It never waits for the reader: lines for which a pipe,
/// a socket or a terminal has no room are buffered and written later, or dropped and counted.
final class LogOutput: Sendable {
    private struct State {
        var buffer = LogBuffer()
        /// Whether somebody was notified of buffered lines and will call ``flush()``.
        var isRetryPending = false

        /// Whether somebody must be notified now.
        mutating func needsRetry() -> Bool {
            guard !buffer.isEmpty, !isRetryPending else { return false }
            isRetryPending = true
            return true
        }
    }

    /// The process that has made it. A child of a fork must not write what its parent has buffered, and the lock may
    /// have been locked by another thread of the parent.
    let pid = getpid()
    private let state = Lock(State())

    /// Writes a line. Returns true when it is buffered and the caller must arrange a call of ``flush()``.
    func write(_ line: [UInt8], to descriptor: Int32, dropLine: LogBuffer.DropLine) -> Bool {
        state.withLock { state in
            state.buffer.add(line, dropLine: dropLine) { LogOutput.write($0, to: descriptor) }
            return state.needsRetry()
        }
    }

    /// Writes a line whose bytes are borrowed, as ``write(_:to:dropLine:)-([UInt8],_,_)``.
    func write(_ line: UnsafeRawBufferPointer, to descriptor: Int32, dropLine: LogBuffer.DropLine) -> Bool {
        state.withLock { state in
            let isWritten = unsafe state.buffer.addDirectly(line) {
                unsafe cre_output_write(descriptor, $0.baseAddress, $0.count)
            }
            if !isWritten {
                unsafe state.buffer.add([UInt8](line), dropLine: dropLine) { LogOutput.write($0, to: descriptor) }
            }
            return state.needsRetry()
        }
    }

    /// Retries to write buffered lines. Returns true when the caller must call it again later.
    func flush(to descriptor: Int32, dropLine: LogBuffer.DropLine) -> Bool {
        state.withLock { state in
            state.buffer.flush(dropLine: dropLine) { LogOutput.write($0, to: descriptor) }
            state.isRetryPending = !state.buffer.isEmpty
            return state.isRetryPending
        }
    }

    /// Writes as many buffered lines as possible within `limit`, before the process ends.
    func finish(on descriptor: Int32, within limit: Duration, dropLine: LogBuffer.DropLine) {
        let deadline = ContinuousClock.now + limit
        while flush(to: descriptor, dropLine: dropLine) {
            let left = deadline - .now
            guard left > .zero, cre_output_wait(descriptor, Int32(left.milliseconds) + 1) else { return }
        }
    }

    private static func write(_ bytes: ArraySlice<UInt8>, to descriptor: Int32) -> Int {
        unsafe bytes.withUnsafeBytes { unsafe cre_output_write(descriptor, $0.baseAddress, $0.count) }
    }
}
