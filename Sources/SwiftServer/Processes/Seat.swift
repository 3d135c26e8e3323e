/// A place for a process that the manager keeps occupied: the process, the time of its start, and the time of the next
/// start.
struct Seat {
    typealias Instant = ContinuousClock.Instant

    let id: Int
    let role: Role
    private(set) var pid: Int32 = 0
    /// The time of the last start.
    private(set) var startedAt: Instant
    /// The number of processes in a row that have ended right after their start.
    private var failures = 0
    /// The time of the next start, `nil` while the seat is occupied.
    private(set) var startAt: Instant?
    /// The number of callbacks that its predecessors have served. The process has begun when it has served more.
    private(set) var servedBefore: UInt64 = 0
    /// The count of served callbacks at which the process was reported as stuck.
    var stuckSince: UInt64?
    /// Whether its process was reported as silent, and the looks at it.
    var isReportedSilent = false
    private var pulse: (turns: UInt64, looks: Int, at: Instant)?

    /// A process that ends within this time after its start has failed.
    static let failsWithin: Duration = .seconds(1)
    static let longestDelay: Duration = .seconds(5)

    init(id: Int, role: Role, at now: Instant) {
        self.id = id
        self.role = role
        startedAt = now
        startAt = now
    }

    var isEmpty: Bool { pid == 0 }

    mutating func occupy(by pid: Int32, at now: Instant, served: UInt64 = 0) {
        self.pid = pid
        servedBefore = served
        startedAt = now
        startAt = nil
        stuckSince = nil
        forgetLooks()
    }

    /// Forgets the looks at the process, when it runs a handler.
    mutating func forgetLooks() {
        pulse = nil
        isReportedSilent = false
    }

    /// Looks at the turns of the process's loop, at most once per `interval`. Returns how many looks ago they were
    /// others. Looks count, and not the time: when the whole machine stops for a while, nobody was silent.
    mutating func looks(at turns: UInt64, _ now: Instant, every interval: Duration) -> Int {
        guard let last = pulse, last.turns == turns else {
            pulse = (turns, 0, now)
            isReportedSilent = false
            return 0
        }
        if now - last.at >= interval { pulse = (turns, last.looks + 1, now) }
        return pulse?.looks ?? 0
    }

    /// Empties the seat after its process has ended. Returns whether the next start is delayed, since the process has
    /// failed.
    mutating func vacate(orderly: Bool, at now: Instant) -> Bool {
        pid = 0
        guard !orderly, now - startedAt < Seat.failsWithin else {
            failures = 0
            startAt = now
            return false
        }
        delay(at: now)
        return true
    }

    /// Delays the next start: twice as long after each failure in a row.
    mutating func delay(at now: Instant) {
        failures += 1
        let doubled = Duration.milliseconds(50 << min(failures, 8))
        startAt = now + min(doubled, Seat.longestDelay)
    }
}
