internal import Glibc

/// What the server itself has to say: one line each on standard error.
enum Log {
    static func notice(_ message: @autoclosure () -> String) { write("notice", message()) }
    static func warning(_ message: @autoclosure () -> String) { write("warning", message()) }
    static func error(_ message: @autoclosure () -> String) { write("error", message()) }

    private static func write(_ level: String, _ message: String) {
        var now = timespec()
        unsafe clock_gettime(CLOCK_REALTIME, &now)
        var parts = unsafe tm()
        unsafe gmtime_r(&now.tv_sec, &parts)
        let date = unsafe [Int(parts.tm_year) + 1900, Int(parts.tm_mon) + 1, Int(parts.tm_mday)].map(twoDigits).joined(
            separator: "-")
        let time = unsafe [parts.tm_hour, parts.tm_min, parts.tm_sec].map { twoDigits(Int($0)) }.joined(separator: ":")
        let line = "\(date)T\(time)Z [\(getpid())] \(level): \(message)\n"
        // One write for one line, so that lines of several processes do not mix.
        var bytes = Array(line.utf8)
        unsafe bytes.withUnsafeMutableBytes { _ = unsafe Glibc.write(2, $0.baseAddress, $0.count) }
    }

    private static func twoDigits(_ value: Int) -> String { value < 10 ? "0\(value)" : "\(value)" }
}
