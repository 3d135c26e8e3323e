/// The order and the deadline of a stop: roles end one after the other, so that tasks still run while workers wait for
/// their results.
struct StopSequence {
    typealias Instant = ContinuousClock.Instant

    /// The time between the end of the processes' own deadline and their kill.
    private static let grace: Duration = .seconds(1)

    private var groups: ArraySlice<(Role) -> Bool> = [{ $0 == .worker }, { $0 == .taskWorker }, { !$0.isManaged }]
    private(set) var deadline: Instant
    private(set) var isKilling = false

    init(at now: Instant, timeout: Duration) { deadline = now + timeout + StopSequence.grace }

    /// Whether processes of this role are being stopped.
    func includes(_ role: Role) -> Bool { groups.first?(role) ?? false }

    var isOver: Bool { groups.isEmpty }

    /// Moves on to the first group with a living process. Returns whether it has changed.
    mutating func advance(alive: [Role]) -> Bool {
        let before = groups.count
        while let group = groups.first, !alive.contains(where: group) { groups.removeFirst() }
        return groups.count != before
    }

    /// Whether all processes must be killed now: true once, when the deadline has passed.
    mutating func mustKill(at now: Instant) -> Bool {
        guard !isKilling, now >= deadline else { return false }
        isKilling = true
        return true
    }
}
