internal import Glibc

/// A file with the current numbers of ``Server/stats()``. It is replaced as a whole, so a reader never sees half of it.
struct StatisticsFile: Sendable {
    private let path: String
    private static let interval: Duration = .seconds(1)

    /// Relative paths are resolved at this moment.
    init?(_ settings: Settings) {
        guard let path = settings.statsFile else { return nil }
        self.path = Path.absolute(path)
    }

    /// Writes the file for the first time; a bad path is an error here.
    func begin(_ statistics: ServerStatistics) throws(ServerError) {
        var info = stat()
        // It would be replaced by a file.
        if unsafe stat(path, &info) == 0, info.st_mode & S_IFMT != S_IFREG {
            throw .setting("statsFile must be a regular file, and \(path) is none")
        }
        let error = write(statistics)
        guard error == 0 else { throw .system("cannot write the statistics to \(path)", -error) }
    }

    /// Writes the file once a second, by a timer.
    func keep(_ timers: Timers, _ statistics: @escaping () -> ServerStatistics) {
        var hasFailed = false
        _ = timers.start(after: StatisticsFile.interval, every: StatisticsFile.interval) { _ in
            let error = write(statistics())
            if error != 0, !hasFailed { Log.warning("cannot write the statistics to \(path): \(errorText(-error))") }
            hasFailed = error != 0
        }
    }

    /// Returns 0 or an `errno`.
    private func write(_ statistics: ServerStatistics) -> Int32 {
        let draft = path + ".new"
        let text = path.hasSuffix(".json") ? statistics.json : statistics.text
        // Whatever was left there is removed first: it may be a FIFO, which would wait for a reader.
        unsafe unlink(draft)
        let file = unsafe open(draft, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0o644)
        guard file >= 0 else { return errno }
        var error = StatisticsFile.write([UInt8](text.utf8), to: file)
        close(file)
        if error == 0, unsafe rename(draft, path) != 0 { error = errno }
        if error != 0 { unsafe unlink(draft) }
        return error
    }

    private static func write(_ bytes: [UInt8], to file: Int32) -> Int32 {
        let written = unsafe bytes.withUnsafeBytes { unsafe Glibc.write(file, $0.baseAddress, $0.count) }
        return written == bytes.count ? 0 : written < 0 ? errno : ENOSPC
    }
}

extension ServerStatistics {
    private var numbers: [(String, Int)] {
        [
            ("connections", connections), ("accepted", accepted), ("refused", refused),
            ("outOfDescriptors", outOfDescriptors), ("outOfMemory", outOfMemory), ("acceptPauses", acceptPauses),
            ("closed", closed),
            ("messagesReceived", messagesReceived), ("messagesSent", messagesSent),
            ("messagesSkipped", messagesSkipped), ("requests", requests), ("responses", responses),
            ("requestsInProgress", requestsInProgress), ("requestsWaiting", requestsWaiting),
            ("requestsRefused", requestsRefused), ("bytesReceived", bytesReceived), ("bytesSent", bytesSent),
            ("queuedBytes", queuedBytes),
            ("unfinishedBytes", unfinishedBytes), ("transitBytes", transitBytes),
            ("connectionsShed", connectionsShed), ("idleWorkers", idleWorkers),
            ("idleTaskWorkers", idleTaskWorkers), ("tasksWaiting", tasksWaiting), ("tasksDone", tasksDone),
            ("staleCommands", staleCommands), ("valuesRepaired", valuesRepaired), ("loopTurns", loopLag.turns),
            ("averageLagMicroseconds", Int(loopLag.average.nanoseconds / 1000)),
            ("longestLagMicroseconds", Int(loopLag.longest.nanoseconds / 1000)),
            ("http2OpenConnections", http2.openConnections), ("http2Connections", http2.connections),
            ("http2OpenStreams", http2.openStreams), ("http2Streams", http2.streams),
            ("http2StreamsRefused", http2.streamsRefused), ("http2StreamsReset", http2.streamsReset),
            ("http2StreamsStalled", http2.streamsStalled), ("http2LimitsExceeded", http2.limitsExceeded),
            ("users", users),
        ]
    }

    var text: String { numbers.map { "\($0): \($1)\n" }.joined() }
    var json: String { "{" + numbers.map { "\"\($0)\": \($1)" }.joined(separator: ", ") + "}\n" }
}
