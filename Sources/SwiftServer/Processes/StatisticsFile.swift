internal import Glibc

/// A file that is kept up to date with what ``Server/stats()`` tells. Whoever reads it sees one state, never half of one.
struct StatisticsFile: Sendable {
    private let path: String
    private static let interval: Duration = .seconds(1)

    /// Relative paths are those of this moment.
    init?(_ settings: Settings) {
        guard let path = settings.statsFile else { return nil }
        self.path = absolutePath(path)
    }

    /// The first time; what is wrong with the path shows here.
    func begin(_ server: Server) throws(ServerError) {
        let error = write(server.stats())
        guard error == 0 else { throw .system("writing the statistics to \(path)", -error) }
    }

    /// Again and again, in the process whose loop that is.
    func keep(_ server: Server, _ timers: Timers) {
        var hasFailed = false
        _ = timers.start(after: StatisticsFile.interval, every: StatisticsFile.interval) { _ in
            let error = write(server.stats())
            if error != 0, !hasFailed { Log.warning("cannot write the statistics to \(path): \(errorText(-error))") }
            hasFailed = error != 0
        }
    }

    /// 0, or what went wrong.
    private func write(_ statistics: ServerStatistics) -> Int32 {
        let draft = path + ".new"
        let file = unsafe open(draft, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o644)
        guard file >= 0 else { return errno }
        defer { close(file) }
        let text = path.hasSuffix(".json") ? statistics.json : statistics.text
        let bytes = [UInt8](text.utf8)
        let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
        guard written == bytes.count else { return written < 0 ? errno : ENOSPC }
        return unsafe rename(draft, path) == 0 ? 0 : errno
    }
}

extension ServerStatistics {
    private var numbers: [(String, Int)] {
        [
            ("connections", connections), ("accepted", accepted), ("refused", refused), ("closed", closed),
            ("messagesReceived", messagesReceived), ("messagesSent", messagesSent),
            ("messagesLeftOut", messagesLeftOut), ("requests", requests), ("responses", responses),
            ("bytesReceived", bytesReceived), ("bytesSent", bytesSent), ("idleWorkers", idleWorkers),
            ("idleTaskWorkers", idleTaskWorkers), ("tasksWaiting", tasksWaiting), ("tasksDone", tasksDone),
            ("staleCommands", staleCommands), ("loopTurns", loopLag.turns),
            ("averageLagMicroseconds", Int(loopLag.average.nanoseconds / 1000)),
            ("longestLagMicroseconds", Int(loopLag.longest.nanoseconds / 1000)),
        ]
    }

    var text: String { numbers.map { "\($0): \($1)\n" }.joined() }
    var json: String { "{" + numbers.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}\n" }
}
