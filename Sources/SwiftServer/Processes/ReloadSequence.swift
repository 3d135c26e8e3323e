/// The order and the deadlines of a reload: processes are replaced one after the other, so that one always serves.
struct ReloadSequence {
    typealias Instant = ContinuousClock.Instant

    /// The seats that are not reloaded yet; the first of them is being replaced.
    private(set) var seats: [Int] = []
    /// The pid of the process that is being replaced; 0: it has ended.
    private(set) var leaving: Int32 = 0
    /// When the leaving process is killed.
    private(set) var deadline: Instant?
    /// Whether the replacement of the current seat was reported as late.
    private var isLate = false
    /// The number of replacements that have ended right after their start.
    private var failures = 0

    /// The time between the end of a worker's own deadline and its kill.
    private static let grace: Duration = .seconds(1)
    /// The time between two kills of a process that does not end.
    private static let killInterval: Duration = .seconds(60)
    private static let mostFailures = 3

    init() {}

    init(_ seats: [Int]) { self.seats = seats }

    var isUnderWay: Bool { !seats.isEmpty }
    var current: Int? { seats.first }

    /// Begins to replace the process of the current seat.
    mutating func begin(replacing pid: Int32) {
        leaving = pid
        deadline = nil
    }

    /// A process has ended. Its pid may be that of its replacement, which must not be taken for it.
    mutating func forget(_ pid: Int32) {
        if pid == leaving { begin(replacing: 0) }
    }

    /// The leaving process was asked to end, which takes it at most `timeout`.
    mutating func dismiss(at now: Instant, timeout: Duration) { deadline = now + timeout + ReloadSequence.grace }

    /// Whether the leaving process must be killed now. Each time it is, the next kill is due a minute later.
    mutating func mustKill(at now: Instant) -> Bool {
        guard leaving > 0, let deadline, now >= deadline else { return false }
        self.deadline = now + ReloadSequence.killInterval
        return true
    }

    /// The current seat is reloaded; the next one becomes the current one.
    mutating func advance() {
        seats.removeFirst()
        failures = 0
        isLate = false
    }

    /// A replacement has not finished its start in time. Returns whether that is new.
    mutating func isNewlyLate() -> Bool {
        defer { isLate = true }
        return !isLate
    }

    /// A replacement has ended right after its start. Returns whether the reload must be aborted.
    mutating func fail() -> Bool {
        failures += 1
        return failures >= ReloadSequence.mostFailures
    }
}
