import CReactorInternal
import Glibc

@testable import SwiftServer

/// A promise that a simulated server has broken.
struct Violation: Error, CustomStringConvertible {
    let description: String
}

/// The system in which the real decisions of the manager run: virtual time, virtual processes, and the part of shared
/// memory that the manager reads.
final class SimulatedServer {
    /// Something that is going to happen.
    struct Pending {
        let time: Int
        let order: Int
        let act: () -> Void
    }

    /// What a process shows in shared memory.
    struct Shown {
        var pid: Int32 = 0
        var served: UInt64 = 0
        /// When the callback began that runs now.
        var since: Int?
        var kind: UInt32 = 0
        var ending: UInt32 = 0
    }

    let schedule: Schedule
    let layout: Layout
    /// Milliseconds.
    var time = 0
    let origin = ContinuousClock.now
    var pending: [Pending] = []
    var order = 0
    var chance: Chance

    var processes: [SimulatedProcess] = []
    /// Those of which the manager has not been notified yet, and those that it may wait for.
    var unnoticed: Set<Int32> = []
    var ended: [ProcessEnd] = []
    var signals: [(number: Int32, limit: Duration?)] = []
    var shown: [Shown]
    var nextPID: Int32 = 100
    var started = 0

    /// The successor at the other end of the manager's channel.
    var candidate: SimulatedProcess?
    var openChannels = 0
    var reports: [ControlChannel.Report] = []

    var usesProgram = false
    var wantsShutdown = false
    var isCalm = false
    var shortageUntil = 0
    var isBroken = false

    // What the server promises is checked against these.
    var violation: Violation?
    var counts: [ProcessEvent: Int] = [:]
    var isStopping = false
    /// Reloads between `onBeforeReload` and `onAfterReload`.
    var openReloads = 0
    /// Whether something happened that the manager is not notified of.
    var isInterrupted = false
    var isManagerKilled = false
    var wasManagerReplaced = false
    var isStopRequested = false
    var hasRequestedReload = false
    /// Turns of the manager at the same moment.
    var turns = (time: -1, count: 0)
    /// Processes whose abnormal end the application must be notified of: by number, until it is.
    var unreported: [Int32: Int] = [:]
    var recentStarts: [Int: [Int]] = [:]
    var trace: [String]?

    init(_ schedule: Schedule, tracing: Bool) {
        self.schedule = schedule
        var settings = Settings()
        settings.workerCount = schedule.workers
        settings.taskWorkerCount = schedule.taskWorkers
        settings.reactorCount = 1
        layout = Layout(
            settings, schedule.usesBase ? .base : .process, userProcesses: schedule.hasUserProcess ? ["clock"] : [])
        chance = Chance(schedule.seed, part: 1)
        shown = Array(repeating: Shown(), count: layout.processes)
        if tracing { trace = [] }
    }

    // MARK: Time

    var now: ContinuousClock.Instant { origin + .milliseconds(time) }

    func milliseconds(_ instant: ContinuousClock.Instant) -> Int { Int((instant - origin).milliseconds) }

    func after(_ delay: Int, _ act: @escaping () -> Void) {
        order += 1
        pending.append(Pending(time: time + delay, order: order, act: act))
    }

    /// Lets everything happen up to a time, or to the first of which the manager is notified. Returns false when
    /// nothing can happen any more.
    func run(until limit: Int?) -> Bool {
        isInterrupted = false
        while signals.isEmpty, !isInterrupted, ended.isEmpty || !unnoticedAreDue {
            guard let next = pending.indices.min(by: { earlier(pending[$0], pending[$1]) }),
                limit.map({ pending[next].time <= $0 }) ?? true
            else {
                guard let limit else { return false }
                time = max(time, limit)
                return true
            }
            let event = pending.remove(at: next)
            time = max(time, event.time)
            event.act()
        }
        return true
    }

    /// Lets a little time pass in which the manager does not run.
    func beLate() {
        guard schedule.lateness > 0 else { return }
        let limit = time + chance.number(0...schedule.lateness)
        while let next = pending.indices.min(by: { earlier(pending[$0], pending[$1]) }), pending[next].time <= limit {
            let event = pending.remove(at: next)
            time = max(time, event.time)
            event.act()
        }
        time = max(time, limit)
    }

    func earlier(_ a: Pending, _ b: Pending) -> Bool { (a.time, a.order) < (b.time, b.order) }

    var unnoticedAreDue: Bool { ended.contains { !unnoticed.contains($0.pid) } }

    // MARK: From outside

    func note(_ text: @autoclosure () -> String) { trace?.append("\(time) ms: \(text())") }

    func fail(_ text: String) {
        note("VIOLATION: \(text)")
        if violation == nil { violation = Violation(description: "at \(time) ms: \(text)") }
    }

    func signal(_ number: Int32, _ limit: Duration? = nil) { signals.append((number, limit)) }

    func takeSignals() -> [(number: Int32, limit: Duration?)] {
        defer { signals = [] }
        return signals
    }

    var living: [SimulatedProcess] { processes.filter(\.isAlive) }

    func perform(_ action: Schedule.Action) {
        note("\(action)")
        let living = living
        switch action {
        case .kill(let rank): if !living.isEmpty { end(killing: living[rank % living.count]) }
        case .end(let rank): if !living.isEmpty { stop(living[rank % living.count], by: SIGTERM) }
        case .freeze(let rank): if !living.isEmpty { living[rank % living.count].isStopped = true }
        case .reload(let onlyTasks): signal(onlyTasks ? SIGUSR2 : SIGUSR1)
        case .hangUp: signal(SIGHUP)
        case .killManager: break  // by who runs the manager
        case .shortage(let length): shortageUntil = time + length
        case .program(let isBroken): self.isBroken = isBroken
        }
    }

    /// From here on nothing fails any more, and what was stopped continues.
    func calmDown() {
        note("calm")
        isCalm = true
        isInterrupted = true
        shortageUntil = 0
        isBroken = false
        for process in living { process.isStopped = false }
    }

    /// The manager has died, and its children with it.
    func replaceManager() {
        wasManagerReplaced = true
        candidate = nil
        openChannels = 0
        reports = []
        signals = []
        for process in living { end(killing: process) }
        for id in shown.indices { forget(id) }
        unreported = [:]
        orphans.formUnion(living.map(\.pid))
        ended = []
    }

    /// Children of a dead manager, which others wait for.
    var orphans: Set<Int32> = []

    // MARK: Processes

    func killSomebody() {
        guard !isCalm, schedule.killsDuringCalls > 0, chance.number(0...999) < schedule.killsDuringCalls else { return }
        let living = living
        guard !living.isEmpty else { return }
        end(killing: living[chance.number(0...living.count - 1)])
    }

    func newPID() -> Int32 {
        let used = Set(living.map(\.pid)).union(ended.map(\.pid))
        if schedule.reusesPIDs { nextPID = 99 }
        repeat { nextPID += 1 } while used.contains(nextPID)
        return nextPID
    }

    func spawn(_ id: Int, isCandidate: Bool, fromProgram: Bool) throws(ServerError) -> SimulatedProcess {
        killSomebody()
        guard time >= shortageUntil else { throw .system("cannot start \(layout.name(of: id))", -EAGAIN) }
        started += 1
        var own = Chance(schedule.seed, part: UInt64(1000 + started))
        var plan =
            isCalm
            ? SimulatedProcess.Plan(healthy: &own)
            : SimulatedProcess.Plan(faulty: &own, percent: schedule.faulty, isUser: !layout.role(of: id).isManaged)
        if fromProgram, isBroken { plan.fails = .inProgram }
        let process = SimulatedProcess(
            pid: newPID(), seat: id, number: started, plan: plan, isCandidate: isCandidate, fromProgram: fromProgram,
            at: time)
        note("start \(describe(process))\(isCandidate ? " as successor" : "")")
        processes.removeAll { !$0.isAlive }
        processes.append(process)
        checkRate(of: id)
        run(process)
        return process
    }

    func describe(_ process: SimulatedProcess) -> String {
        "\(layout.name(of: process.seat)) #\(process.number) (pid \(process.pid))"
    }

    /// A process that ends at once must not keep the machine busy.
    func checkRate(of id: Int) {
        let recent = (recentStarts[id] ?? []).filter { $0 > time - 1000 } + [time]
        recentStarts[id] = recent
        if recent.count > 25 { fail("\(layout.name(of: id)) was started \(recent.count) times in a second") }
    }

    func run(_ process: SimulatedProcess) {
        guard process.phase == .program else { return begin(process) }
        if process.plan.fails == .inProgram {
            return when(process, after: process.plan.programTime ?? 10) { [self] in
                failToStart(process)
            }
        }
        guard let delay = process.plan.programTime else { return }
        when(process, after: delay) { [self] in
            if process.isCandidate { report(process, .started) }
            process.phase = .starting
            begin(process)
        }
    }

    /// `onWorkerStart`.
    func begin(_ process: SimulatedProcess) {
        if !process.isCandidate { open(process) }
        if process.plan.fails == .inStart {
            return when(process, after: process.plan.startTime ?? 10) { [self] in failToStart(process) }
        }
        guard let delay = process.plan.startTime else { return }
        when(process, after: delay) { [self] in
            guard process.isCandidate else { return serve(process) }
            process.phase = .waiting
            report(process, .ready)
        }
    }

    func failToStart(_ process: SimulatedProcess) {
        if process.isCandidate, process.plan.reportsFailure { report(process, .failed("it cannot start")) }
        die(process, code: 1, signal: 0)
    }

    /// Takes the mailbox of the seat.
    func open(_ process: SimulatedProcess) {
        if let other = processes.first(where: {
            $0.isAlive && $0.isOpen && !$0.isKilled && $0.seat == process.seat && $0 !== process
        }) {
            fail("\(describe(process)) begins while \(describe(other)) is there")
        }
        process.isOpen = true
        shown[process.seat].pid = process.pid
        shown[process.seat].ending = 0
        shown[process.seat].served += 1
        shown[process.seat].since = time
        shown[process.seat].kind = UInt32(CRE_AT_START)
    }

    func serve(_ process: SimulatedProcess) {
        process.phase = .serving
        shown[process.seat].since = nil
        note("serves: \(describe(process))")
        if process.wasAskedToEnd { stop(process, by: SIGTERM) }
        let plan = process.plan
        if let delay = plan.stuckAfter {
            when(process, after: delay) { [self] in
                guard process.phase == .serving else { return }
                process.isStuck = true
                shown[process.seat].served += 1
                shown[process.seat].since = time
                shown[process.seat].kind =
                    layout.role(of: process.seat) == .taskWorker
                    ? CRE_MESSAGE_TASK.rawValue : CRE_EVENT_MESSAGE.rawValue
            }
        }
        guard let life = plan.life else { return }
        when(process, after: life) { [self] in
            switch plan.end {
            case .crash: die(process, code: 0, signal: SIGSEGV)
            case .error: die(process, code: 3, signal: 0)
            case .orderly: die(process, code: 0, signal: 0)
            case .quota:
                shown[process.seat].ending = EndingCause.quota.rawValue
                when(process, after: 60) { [self] in die(process, code: 0, signal: 0) }
            }
        }
    }

    /// Does something later if the process is still able to; a stopped one does it when it continues.
    func when(_ process: SimulatedProcess, after delay: Int, _ act: @escaping () -> Void) {
        after(delay) { [self] in
            guard process.isAlive, !process.isKilled, !process.isStuck else { return }
            if process.isStopped { return when(process, after: 100, act) }
            act()
        }
    }

    func stop(_ process: SimulatedProcess, by signal: Int32) {
        guard process.isAlive, process.phase != .ending else { return }
        // Before its loop runs it does not read signals.
        guard process.phase == .serving else {
            process.wasAskedToEnd = true
            return
        }
        let isUser = !layout.role(of: process.seat).isManaged
        guard let delay = process.plan.stopTime, !process.isStuck else { return }
        when(process, after: 1) { [self] in
            guard process.phase == .serving else { return }
            process.phase = .ending
            if isUser, process.number % 2 == 0 { return die(process, code: 0, signal: signal) }
            shown[process.seat].ending = EndingCause.requested.rawValue
            when(process, after: delay) { [self] in die(process, code: 0, signal: 0) }
        }
    }

    func end(killing process: SimulatedProcess) {
        guard process.isAlive, !process.isKilled else { return }
        process.isKilled = true
        after(chance.number(0...3)) { [self] in die(process, code: 0, signal: SIGKILL) }
    }

    func die(_ process: SimulatedProcess, code: Int32, signal: Int32) {
        guard process.isAlive else { return }
        let isOrderly = code == 0 && signal == 0
        note("end of \(describe(process)): \(isOrderly ? "orderly" : "code \(code), signal \(signal)")")
        let wasCandidate = process.isCandidate
        process.phase = .dead
        let pid = process.pid
        if orphans.remove(pid) != nil { return }
        if !isOrderly, !wasCandidate, !isStopping { unreported[pid] = process.number }
        ended.append(ProcessEnd(pid: pid, code: code, signal: signal))
        unnoticed.insert(pid)
        after(chance.number(0...max(1, schedule.lateness))) { [self] in unnoticed.remove(pid) }
    }

    /// Waits for children that have ended, in any order.
    func nextEnd() -> ProcessEnd? {
        guard !ended.isEmpty else { return nil }
        let end = ended.remove(at: chance.number(0...ended.count - 1))
        unnoticed.remove(end.pid)
        return end
    }

    func report(_ process: SimulatedProcess, _ report: ControlChannel.Report) {
        guard candidate === process else { return }
        reports.append(report)
    }
}
