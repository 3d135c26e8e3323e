/// A child of the simulated manager, and what it is going to do.
final class SimulatedProcess {
    /// What a process may do, drawn when it starts.
    struct Plan {
        /// Milliseconds until a new program has reached `start()`; `nil`: never.
        var programTime: Int?
        /// Milliseconds of `onWorkerStart`; `nil`: for ever.
        var startTime: Int?
        /// Milliseconds after its first code at which it ends by itself; `nil`: it does not.
        var life: Int?
        var end = End.crash
        /// Milliseconds to end after a request to stop; `nil`: it does not react.
        var stopTime: Int?
        /// Whether a failed start is reported on the channel.
        var reportsFailure = false
        /// Where it fails before it serves.
        var fails = Failure.never
        /// Milliseconds after its first code at which a callback begins that does not return.
        var stuckAfter: Int?
    }

    enum Failure { case never, inProgram, inStart }

    enum End { case crash, error, orderly, quota }

    enum Phase {
        /// Before the application's code: a new program runs its `main`.
        case program
        /// In `onWorkerStart`.
        case starting
        /// It has reported that it is ready, and waits for permission.
        case waiting
        case serving
        case ending
        case dead
    }

    let pid: Int32
    let seat: Int
    /// Different for all processes, unlike pids, which are used again.
    let number: Int
    let plan: Plan
    /// Whether it got ready beside its predecessor, and has no permission to begin yet.
    var isCandidate: Bool
    var phase: Phase
    /// Whether the mailbox of the seat is its own.
    var isOpen = false
    var isStopped = false
    /// Whether it was killed, but has not ended yet.
    var isKilled = false
    var isStuck = false
    /// Whether a request to stop has arrived that it has not read yet.
    var wasAskedToEnd = false
    let startedAt: Int

    init(pid: Int32, seat: Int, number: Int, plan: Plan, isCandidate: Bool, fromProgram: Bool, at time: Int) {
        self.pid = pid
        self.seat = seat
        self.number = number
        self.plan = plan
        self.isCandidate = isCandidate
        phase = fromProgram ? .program : .starting
        startedAt = time
    }

    var isAlive: Bool { phase != .dead }
    /// Whether it can react to anything but SIGKILL.
    var reacts: Bool { isAlive && !isStopped && !isKilled }
}

extension SimulatedProcess.Plan {
    /// A process without a fault.
    init(healthy chance: inout Chance) {
        programTime = chance.duration(1...200)
        startTime = chance.duration(0...300)
        stopTime = chance.duration(0...150)
    }

    /// A process that may have any fault.
    init(faulty chance: inout Chance, percent: Int, isUser: Bool) {
        self.init(healthy: &chance)
        guard chance.happens(percent: percent) else { return }
        reportsFailure = chance.happens(percent: 50)
        switch chance.number(0...10) {
        case 0: programTime = nil
        case 1: fails = .inProgram
        case 2, 3: fails = .inStart
        case 4: startTime = nil
        case 5: startTime = chance.number(300...6000)
        case 6: stopTime = nil
        case 7: stopTime = chance.number(150...4000)
        case 8: stuckAfter = chance.duration(0...4000)
        default:
            life = chance.duration(0...4000)
            end = [.crash, .error, .quota, isUser ? .orderly : .quota][chance.number(0...3)]
        }
    }
}
