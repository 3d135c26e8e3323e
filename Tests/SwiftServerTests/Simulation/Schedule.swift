/// What happens to a simulated server: its configuration, and the faults and requests from outside, all drawn from one
/// seed.
struct Schedule {
    /// Something from outside.
    enum Action {
        /// SIGKILL to the living process of this rank, counted from the oldest.
        case kill(Int)
        /// SIGTERM by hand, to which a process reacts like to a request of the manager.
        case end(Int)
        /// SIGSTOP, until the calm.
        case freeze(Int)
        case reload(onlyTasks: Bool)
        case hangUp
        /// SIGKILL to the manager; the master starts another one.
        case killManager
        /// For some time no process can be started.
        case shortage(Int)
        /// The program file is broken, or good again.
        case program(isBroken: Bool)
    }

    struct Event: CustomStringConvertible {
        let time: Int
        let action: Action
        var description: String { "\(time) ms: \(action)" }
    }

    let seed: UInt64
    var workers = 1
    var taskWorkers = 0
    var hasUserProcess = false
    var usesBase = false
    var reloadsProgram = false
    /// Milliseconds.
    var shutdownTimeout = 1000
    var stuckAfter: Int?
    var killsStuck = false
    /// Of a hundred processes, how many have a fault.
    var faulty = 0
    /// Of a thousand calls of the manager, during how many a process is killed.
    var killsDuringCalls = 0
    /// The longest time in milliseconds by which the manager may run late, and the end of a process be noticed late.
    var lateness = 0
    /// Pids are used again at once, or as late as possible.
    var reusesPIDs = false
    /// When faults end.
    var calm = 0
    /// A stop in the middle of the faults; `nil`: in the calm.
    var stop: Int?
    var events: [Event] = []

    init(seed: UInt64) {
        self.seed = seed
        var chance = Chance(seed, part: 0)
        workers = chance.number(1...3)
        taskWorkers = chance.number(0...2)
        hasUserProcess = chance.happens(percent: 30)
        usesBase = chance.happens(percent: 30)
        reloadsProgram = chance.happens(percent: 40)
        shutdownTimeout = chance.number(200...2500)
        if chance.happens(percent: 30) { stuckAfter = chance.number(100...2000) }
        killsStuck = chance.happens(percent: 50)
        lateness = chance.happens(percent: 50) ? 0 : chance.number(1...80)
        reusesPIDs = chance.happens(percent: 50)
        calm = chance.number(500...8000)
        let isGentle = chance.happens(percent: 20)
        if isGentle {
            // Slow successors are no fault, but another request aborts their reload.
            shutdownTimeout = max(shutdownTimeout, 1000)
            stuckAfter = nil
        } else {
            faulty = [0, 10, 30, 70][chance.number(0...3)]
            killsDuringCalls = [0, 0, 5, 40][chance.number(0...3)]
            if chance.happens(percent: 30) { stop = chance.number(0...calm) }
        }
        for _ in 0..<chance.number(0...12) {
            let time = chance.number(0...calm)
            events.append(Event(time: time, action: Schedule.action(&chance, isGentle: isGentle)))
        }
        events.sort { $0.time < $1.time }
    }

    private static func action(_ chance: inout Chance, isGentle: Bool) -> Action {
        if isGentle { return .reload(onlyTasks: chance.happens(percent: 25)) }
        switch chance.number(0...15) {
        case 0...4: return .kill(chance.number(0...7))
        case 5: return .end(chance.number(0...7))
        case 6: return .freeze(chance.number(0...7))
        case 7...11: return .reload(onlyTasks: chance.happens(percent: 25))
        case 12: return .hangUp
        case 13: return .killManager
        case 14: return .shortage(chance.number(1...3000))
        default: return .program(isBroken: chance.happens(percent: 60))
        }
    }

    /// Whether nothing but reloads happens.
    var isGentle: Bool {
        faulty == 0 && killsDuringCalls == 0 && stop == nil && stuckAfter == nil && shutdownTimeout >= 1000
            && events.allSatisfy { if case .reload = $0.action { true } else { false } }
    }
}

extension Schedule {
    /// The schedule without those events that it does not need to fail.
    func reduced(fails: (Schedule) -> Bool) -> Schedule {
        var reduced = self
        for index in events.indices.reversed() {
            var shorter = reduced
            shorter.events.remove(at: index)
            if fails(shorter) { reduced = shorter }
        }
        for change in [{ $0.lateness = 0 }, { $0.killsDuringCalls = 0 }] as [(inout Schedule) -> Void] {
            var simpler = reduced
            change(&simpler)
            if fails(simpler) { reduced = simpler }
        }
        return reduced
    }
}
