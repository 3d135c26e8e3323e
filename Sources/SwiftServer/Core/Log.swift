internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The server's own log: one line per message, on standard error or in a file.
///
/// A line has the time, the pid, the role of the process, the level and the message. Logging never waits for the reader
/// of the log.
package enum Log {
    // Set while a process has one thread: by `start()`, and by each child at its beginning.
    private static nonisolated(unsafe) var level = LogLevel.notice
    /// Returns the level that was set for all processes while the server runs; `nil`: none was.
    private static nonisolated(unsafe) var sharedLevel: (@Sendable () -> LogLevel?)?
    private static nonisolated(unsafe) var format = LogFormat.text
    private static nonisolated(unsafe) var file: LogFile?
    private static nonisolated(unsafe) var channels: [LogChannel] = []
    private static nonisolated(unsafe) var role = ""
    private static nonisolated(unsafe) var lines = LogOutput()
    /// Called when lines are buffered, on the thread that has logged them.
    private static nonisolated(unsafe) var whenBuffered: (@Sendable () -> Void)?

    static func debug(_ message: @autoclosure () -> String) { write(.debug, message) }
    static func notice(_ message: @autoclosure () -> String) { write(.notice, message) }
    static func warning(_ message: @autoclosure () -> String) { write(.warning, message) }
    static func error(_ message: @autoclosure () -> String) { write(.error, message) }

    /// Sets level, format and files, for this process and those that it forks.
    static func open(_ level: LogLevel, _ format: LogFormat, _ file: LogFile?, _ channels: [LogChannel] = []) {
        unsafe Log.level = level
        unsafe Log.format = format
        unsafe Log.file = file
        unsafe Log.channels = channels
    }

    /// Follows a level that changes while the server runs, in place of the one that ``open(_:_:_:_:)`` has set. Before
    /// the first fork.
    static func follow(_ level: (@Sendable () -> LogLevel?)?) { unsafe sharedLevel = level }

    /// The lowest level that is logged now.
    static var currentLevel: LogLevel { unsafe sharedLevel?() ?? level }

    /// Names the role of this process in the log, such as "master" or "worker 3".
    static func setRole(_ role: String) {
        unsafe Log.role = role
        // Made while the process has one thread.
        _ = current
        for channel in unsafe channels { channel.begin() }
    }

    /// Begins the log of a forked child, which retries in a way of its own.
    static func begin(role: String) {
        setRole(role)
        unsafe whenBuffered = nil
    }

    /// Opens all log files again by their names, after the old ones were renamed. Only the master creates files.
    static func reopen(creates: Bool = false) {
        do throws(ServerError) { try unsafe file?.reopen(creates: creates) } catch { reportReopening(error) }
        for channel in unsafe channels {
            do throws(ServerError) { try channel.reopen(creates: creates) } catch { reportReopening(error) }
        }
    }

    private static func reportReopening(_ error: ServerError) {
        Log.error("\(error.message); the old log file stays in use")
    }

    /// Closes the file and logs to standard error again.
    static func close() {
        finish()
        unsafe file?.close()
        for channel in unsafe channels { channel.close() }
        open(.notice, .text, nil)
        follow(nil)
        setRole("")
        unsafe whenBuffered = nil
        cre_output_close()
    }

    /// Writes a line of the server.
    static func write(_ level: LogLevel, _ message: () -> String) {
        LogObserver.function?(level, message())
        guard level >= currentLevel else { return }
        if let sink = LogSink.function { return unsafe sink(level, role, message()) }
        output(line("\(level)", message()))
    }

    /// Writes a line of the application as one of the server's own. Any thread.
    static func write(_ level: LogLevel, _ message: () -> String, _ fields: () -> [LogField]) {
        let isWritten = level >= currentLevel
        guard level != .none, isWritten || LogObserver.function != nil else { return }
        let (message, fields) = (message(), fields())
        LogObserver.function?(level, LogText.line(message, fields))
        guard isWritten else { return }
        if let sink = LogSink.function { return unsafe sink(level, role, LogText.line(message, fields)) }
        output(line(application: "\(level)", message, fields))
    }

    /// Writes a line of the application, which has decided by its own level that it is written, to the output of the
    /// server's log. Any thread.
    ///
    /// - Parameters:
    ///   - level: the nearest level of the server's log.
    ///   - name: the level as the line shows it.
    ///   - message: any text.
    package static func write(application level: LogLevel, as name: String, _ message: String, _ fields: [LogField]) {
        LogObserver.function?(level, LogText.line(message, fields))
        output(line(application: name, message, fields))
    }

    private static func line(application level: String, _ message: String, _ fields: [LogField]) -> [UInt8] {
        unsafe format == .json ? line(level, message, fields) : line(level, LogText.line(message, fields))
    }

    private static func output(_ line: [UInt8]) {
        let isBuffered = current.write(line, to: descriptor, dropLine: dropLine)
        if isBuffered { linesAreBuffered() }
    }

    /// Lines of a log were buffered: arranges for ``flush()``.
    static func linesAreBuffered() { unsafe whenBuffered?() }

    /// One line, which is written at once where possible, so that lines of several processes do not mix.
    private static func line(_ level: String, _ message: String, _ fields: [LogField] = []) -> [UInt8] {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        var parts = unsafe tm()
        unsafe gmtime_r(&now.tv_sec, &parts)
        let date = unsafe [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)].map(twoDigits).joined(
            separator: "-")
        let time = unsafe [parts.tm_hour, parts.tm_min, parts.tm_sec].map { twoDigits(Int($0)) }.joined(separator: ":")
        guard unsafe format == .text else { return json("\(date)T\(time)Z", level, message, fields) }
        let process = unsafe role.isEmpty ? "\(getpid())" : "\(getpid()) \(role)"
        return Array("\(date)T\(time)Z [\(process)] \(level): \(message)\n".utf8)
    }

    private static func json(_ time: String, _ level: String, _ message: String, _ fields: [LogField]) -> [UInt8] {
        let process = unsafe role.isEmpty ? "" : "\"process\":\(JSONString.quoted(role)),"
        var line = """
            {"time":"\(time)","pid":\(getpid()),\(process)"level":\(JSONString.quoted(level)),\
            "message":\(JSONString.quoted(message))
            """
        if !fields.isEmpty {
            let members = fields.map { "\(JSONString.quoted($0.name)):\(JSONString.quoted($0.value))" }
            line += ",\"fields\":{\(members.joined(separator: ","))}"
        }
        return Array("\(line)}\n".utf8)
    }

    private static func dropLine(_ count: Int) -> [UInt8] {
        line("\(LogLevel.warning)", count == 1 ? "1 log line was dropped" : "\(count) log lines were dropped")
    }

    private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}

// MARK: - Buffered lines

extension Log {
    /// The interval at which a process tries to write what its reader had no room for.
    static let retryInterval: Duration = .milliseconds(100)
    /// How long a process that ends waits for the reader of its log.
    private static let endLimit: Duration = .milliseconds(200)

    /// Writes buffered lines later, by the timers of this process's loop.
    static func retry(on loop: EventLoop, _ timers: Timers) {
        unsafe whenBuffered = { loop.post { startRetry(timers) } }
        if flush() { startRetry(timers) }
    }

    private static func startRetry(_ timers: Timers) {
        _ = timers.start(after: retryInterval, every: nil) { _ in if flush() { startRetry(timers) } }
    }

    /// Retries to write buffered lines. Returns true when lines are left.
    static func flush() -> Bool {
        var isLeft = current.flush(to: descriptor, dropLine: dropLine)
        for channel in unsafe channels where channel.flush() { isLeft = true }
        return isLeft
    }

    /// Writes buffered lines before the process ends, as far as that takes a moment only.
    static func finish() {
        for channel in unsafe channels { channel.finish(within: endLimit) }
        current.finish(on: descriptor, within: endLimit, dropLine: dropLine)
    }

    private static var descriptor: Int32 { unsafe file?.descriptor ?? 2 }

    private static var current: LogOutput {
        if unsafe lines.pid != getpid() { unsafe lines = LogOutput() }
        return unsafe lines
    }
}
