/// The order and the deadlines of a stop: roles end one after the other, so that tasks still run while workers wait for
/// their results, and the gateway publishes what all others have sent. All stages together have one deadline.
struct StopSequence {
    typealias Instant = ContinuousClock.Instant

    private var groups: ArraySlice<(Role) -> Bool> = [
        { $0 == .worker }, { $0 == .taskWorker }, { !$0.isManaged && $0 != .gateway }, { $0 == .gateway },
    ]
    private let end: Instant
    /// Whether connections are closed in the next stage, by the workers that own them.
    private var closesConnections: Bool
    /// When the remaining processes of the current stage are killed.
    private(set) var deadline: Instant
    private(set) var isKilling = false

    /// `closesConnections`: the workers own the connections, so their stage is the first one of the stop.
    init(at now: Instant, timeout: Duration, closesConnections: Bool) {
        end = now + timeout
        deadline = end
        self.closesConnections = closesConnections
    }

    /// Returns the time that a stage may take, of the time that is left for it and those that follow. The first stage,
    /// in which requests are finished and connections are closed, usually needs the most.
    static func share(of left: Duration, isFirst: Bool, isLast: Bool) -> Duration {
        isLast ? max(.zero, left) : isFirst ? max(.zero, left * 3 / 4) : max(.zero, left / 2)
    }

    /// Returns the time after which a process ends by itself, of the time after which it is killed.
    static func ownLimit(of share: Duration) -> Duration { max(.milliseconds(1), share - min(.seconds(1), share / 4)) }

    /// The time that processes of the current stage have to end by themselves.
    func limit(at now: Instant) -> Duration { StopSequence.ownLimit(of: deadline - now) }

    /// Whether processes of this role are being stopped.
    func includes(_ role: Role) -> Bool { groups.first?(role) ?? false }

    var isOver: Bool { groups.isEmpty }

    /// Moves on to the first group with a living process, and sets its deadline. Returns whether it has changed.
    mutating func advance(alive: [Role], at now: Instant) -> Bool {
        let before = groups.count
        while let group = groups.first, !alive.contains(where: group) { groups.removeFirst() }
        if groups.count != before { begin(alive, at: now) }
        return groups.count != before
    }

    /// Begins the current stage.
    mutating func begin(_ alive: [Role], at now: Instant) {
        isKilling = false
        let stages = groups.filter { alive.contains(where: $0) }.count
        let isFirst = closesConnections && includes(.worker)
        deadline = now + StopSequence.share(of: end - now, isFirst: isFirst, isLast: stages <= 1)
    }

    /// Whether the processes of the current stage must be killed now: true once, when its deadline has passed.
    mutating func mustKill(at now: Instant) -> Bool {
        guard !isKilling, now >= deadline else { return false }
        isKilling = true
        return true
    }
}
