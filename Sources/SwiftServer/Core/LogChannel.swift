internal import Glibc

/// A log file beside the server's own, such as an access log. Like that it is opened by `start()`, inherited by all
/// processes, opened again by its name with the server's log, and never waited for.
@safe final class LogChannel: @unchecked Sendable {
    // `@unchecked`: `file` and `output` are set while a process has one thread.
    private let path: String
    private let dropLine: LogBuffer.DropLine
    private var file: LogFile?
    private var output = LogOutput()

    /// - Parameters:
    ///   - path: the file.
    ///   - dropLine: returns the line that reports a number of dropped lines.
    init(path: String, dropLine: @escaping @Sendable (Int) -> [UInt8]) {
        self.path = path
        self.dropLine = dropLine
    }

    /// Opens the file, and creates it if it does not exist.
    func open(owner: (user: UInt32, group: UInt32)?) throws(ServerError) {
        file = try LogFile(path, owner: owner, takesOutput: false)
    }

    /// Writes a line, or buffers it while its reader is slow. Any thread.
    func write(_ line: UnsafeRawBufferPointer) {
        guard let file else { return }
        if unsafe output.write(line, to: file.descriptor, dropLine: dropLine) { Log.linesAreBuffered() }
    }

    func reopen(creates: Bool) throws(ServerError) { try file?.reopen(creates: creates) }

    /// Retries to write buffered lines. Returns true when lines are left.
    func flush() -> Bool {
        guard let file else { return false }
        return output.flush(to: file.descriptor, dropLine: dropLine)
    }

    /// Writes buffered lines before the process ends, within `limit`.
    func finish(within limit: Duration) {
        if let file { output.finish(on: file.descriptor, within: limit, dropLine: dropLine) }
    }

    func close() {
        file?.close()
        file = nil
    }

    /// Prepares a process that was forked, before anything is written: lines that its parent has buffered are not its
    /// own.
    func begin() {
        if output.pid != getpid() { output = LogOutput() }
    }
}
