internal import Glibc

/// The server's own log: one line per message, on standard error or in a file.
///
/// A line has the time, the pid, the role of the process, the level and the message.
enum Log {
    // Set while a process has one thread: by `start()`, and by each child at its beginning.
    private static nonisolated(unsafe) var level = LogLevel.notice
    private static nonisolated(unsafe) var file: LogFile?
    private static nonisolated(unsafe) var role = ""

    static func debug(_ message: @autoclosure () -> String) { write(.debug, message) }
    static func notice(_ message: @autoclosure () -> String) { write(.notice, message) }
    static func warning(_ message: @autoclosure () -> String) { write(.warning, message) }
    static func error(_ message: @autoclosure () -> String) { write(.error, message) }

    /// Sets level and file, for this process and those that it forks.
    static func open(_ level: LogLevel, _ file: LogFile?) {
        unsafe Log.level = level
        unsafe Log.file = file
    }

    /// Names the role of this process in the log, such as "master" or "worker 3".
    static func setRole(_ role: String) { unsafe Log.role = role }

    /// Opens the log file again by its name, after the old one was renamed. Only the master creates files.
    static func reopen(creates: Bool = false) {
        guard let file = unsafe file else { return }
        do throws(ServerError) { try file.reopen(creates: creates) } catch {
            Log.error("\(error.message); the old log file stays in use")
        }
    }

    /// Closes the file and logs to standard error again.
    static func close() {
        unsafe file?.close()
        open(.notice, nil)
        setRole("")
    }

    private static func write(_ level: LogLevel, _ message: () -> String) {
        guard unsafe level >= Log.level else { return }
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        var parts = unsafe tm()
        unsafe gmtime_r(&now.tv_sec, &parts)
        let date = unsafe [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)].map(twoDigits).joined(
            separator: "-")
        let time = unsafe [parts.tm_hour, parts.tm_min, parts.tm_sec].map { twoDigits(Int($0)) }.joined(separator: ":")
        let process = unsafe role.isEmpty ? "\(getpid())" : "\(getpid()) \(role)"
        // One write for one line, so that lines of several processes do not mix.
        var bytes = Array("\(date)T\(time)Z [\(process)] \(level): \(message())\n".utf8)
        let descriptor = unsafe file?.descriptor ?? 2
        unsafe bytes.withUnsafeMutableBytes { _ = unsafe Glibc.write(descriptor, $0.baseAddress, $0.count) }
    }

    private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
