/// Limits a kind of lines in the log that clients can cause any number of: one in an interval.
final class LogLimit: Sendable {
    private struct State {
        var next: ContinuousClock.Instant?
        var omitted = 0
    }

    private let interval: Duration
    // Not a `Mutex`: see `Lock`. Workers that own their sockets are forked.
    private let state = Lock(State())

    init(_ interval: Duration = .seconds(1)) { self.interval = interval }

    /// Returns the end of the line that is due, with the number of lines that were omitted before it, or `nil` when the
    /// line is to be omitted.
    func ending(at now: ContinuousClock.Instant = .now) -> String? {
        state.withLock { state in
            if let next = state.next, now < next {
                state.omitted += 1
                return nil
            }
            defer { state = State(next: now + interval) }
            return state.omitted == 0 ? "" : " (and \(state.omitted) before)"
        }
    }
}
