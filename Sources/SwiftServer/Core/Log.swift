internal import Glibc

/// How much a server says of itself; each level has those behind it in it, too.
public enum LogLevel: Int, Sendable, Hashable, CaseIterable, Comparable {
    /// Also what helps to find out why something happens: signals, starts and ends of processes.
    case debug
    /// Also what is as it should be: listening, reloads.
    case notice
    /// What somebody should look at.
    case warning
    /// What does not work.
    case error
    /// Nothing at all.
    case none

    /// In the order of the declaration.
    public static func < (a: LogLevel, b: LogLevel) -> Bool { a.rawValue < b.rawValue }
}

/// What the server itself has to say: one line each, on standard error or in a file.
///
/// A line says when, which process, its role, how bad it is, and what.
enum Log {
    // Set while a process has one thread: by `start()`, and by each child at its beginning.
    private static nonisolated(unsafe) var level = LogLevel.notice
    private static nonisolated(unsafe) var file: LogFile?
    private static nonisolated(unsafe) var role = ""

    static func debug(_ message: @autoclosure () -> String) { write(.debug, message) }
    static func notice(_ message: @autoclosure () -> String) { write(.notice, message) }
    static func warning(_ message: @autoclosure () -> String) { write(.warning, message) }
    static func error(_ message: @autoclosure () -> String) { write(.error, message) }

    /// For this process and those that it forks.
    static func open(_ level: LogLevel, _ file: LogFile?) {
        unsafe Log.level = level
        unsafe Log.file = file
    }

    /// Which of the server's processes this is: master, manager, worker 3.
    static func setRole(_ role: String) { unsafe Log.role = role }

    /// Goes on in a file of the same name, after somebody has renamed the old one. Only the process that the others come
    /// from makes files.
    static func reopen(creates: Bool = false) {
        guard let file = unsafe file else { return }
        do throws(ServerError) { try file.reopen(creates: creates) } catch {
            Log.error("\(error.message); going on in the old file")
        }
    }

    /// Back to standard error.
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
