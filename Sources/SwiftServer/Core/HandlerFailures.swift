/// Errors that handlers throw: each is logged with its cause, and ends what its handler was called for.
enum HandlerFailures {
    private static let limit = Lock(FailureLimit())

    /// Logs an error, at most ``FailureLimit/most`` a second in each process.
    static func log(_ process: String?, _ place: String, _ error: any Error) {
        guard let dropped = limit.withLock({ $0.admit(at: .now) }) else { return }
        let others = dropped == 0 ? "" : " (and \(dropped) more errors of handlers before)"
        Log.error("\(process.map { "\($0): " } ?? "")\(place) has failed: \(text(error))\(others)")
    }

    /// The error on one line of limited length.
    static func text(_ error: any Error) -> String {
        let line = "\(error)".prefix(1000).map { $0.isNewline ? " " : $0 }
        return line.isEmpty ? "\(type(of: error))" : String(line)
    }
}

/// The number of errors that may still be logged: clients may cause any number of them.
struct FailureLimit {
    /// The number of logged errors in a second.
    static let most = 10
    private var begin: ContinuousClock.Instant?
    private var logged = 0
    private var dropped = 0

    /// Returns the number of errors that were dropped before this one, or `nil` when this one must be dropped.
    mutating func admit(at now: ContinuousClock.Instant) -> Int? {
        if let begin, now - begin < .seconds(1) {
            guard logged < FailureLimit.most else {
                dropped += 1
                return nil
            }
        } else {
            begin = now
            logged = 0
        }
        logged += 1
        defer { dropped = 0 }
        return dropped
    }
}
