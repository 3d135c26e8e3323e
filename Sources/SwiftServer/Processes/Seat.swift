internal import CReactor

/// A place for a process that the manager keeps filled: who sits there, since when, and when the next one may.
struct Seat {
    let id: Int
    let role: Role
    private(set) var pid: Int32 = 0
    private var startedAt = ContinuousClock.now
    /// How often in a row it ended right after its start.
    private var failures = 0
    /// When it is to be started, while it is not running.
    private(set) var startAt: ContinuousClock.Instant? = .now
    /// For how long it has been reported as stuck.
    var stuckSince: UInt64?

    /// A process that ends sooner than this after its start has failed.
    private static let failsWithin: Duration = .seconds(1)
    private static let longestDelay: Duration = .seconds(5)

    init(id: Int, role: Role) {
        self.id = id
        self.role = role
    }

    var isEmpty: Bool { pid == 0 }

    mutating func taken(by pid: Int32) {
        self.pid = pid
        startedAt = .now
        startAt = nil
        stuckSince = nil
    }

    /// Its process has ended. Returns whether the next one must wait, since this one did not live long.
    mutating func left(orderly: Bool) -> Bool {
        pid = 0
        guard !orderly, ContinuousClock.now - startedAt < Seat.failsWithin else {
            failures = 0
            startAt = .now
            return false
        }
        delay()
        return true
    }

    /// Starts it later, and later each time.
    mutating func delay() {
        failures += 1
        let doubled = Duration.milliseconds(50 << min(failures, 8))
        startAt = .now + min(doubled, Seat.longestDelay)
    }
}
