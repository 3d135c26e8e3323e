internal import Glibc

/// The manager's decisions: which processes to start, to replace, to stop and to kill, and when.
///
/// It acts on a ``ProcessSystem``, and remembers nothing but what it has decided.
struct Manager {
    let system: any ProcessSystem
    let layout: Layout
    let mode: ServerMode
    let settings: Settings
    let handlers: ProcessHandlers
    var seats: [Seat]
    var reload = ReloadSequence()
    /// The reload that follows the one in progress.
    var nextReload: ReloadScope?
    /// The new program of a reload, before it takes over.
    var candidate: Candidate?
    private var stopping: StopSequence?

    var isStopping: Bool { stopping != nil }

    /// The interval at which the manager checks processes that cannot wake it.
    private static let pollInterval: Duration = .milliseconds(10)

    init(
        _ system: any ProcessSystem, layout: Layout, mode: ServerMode, settings: Settings, handlers: ProcessHandlers
    ) {
        self.system = system
        self.layout = layout
        self.mode = mode
        self.settings = settings
        self.handlers = handlers
        let now = system.now
        seats = (0..<layout.processes).map { Seat(id: $0, role: layout.role(of: $0), at: now) }
    }

    /// Does what is due. Returns true when the manager has stopped, with all its processes.
    mutating func step() -> Bool {
        startDue()
        stepReload()
        if stepStop() { return true }
        watchStuck()
        return false
    }

    /// When the next step is due if nothing happens before; `nil`: never.
    var nextStep: ContinuousClock.Instant? {
        let now = system.now
        var times = isStopping ? [] : seats.compactMap(\.startAt)
        if let stopping, !stopping.isKilling { times.append(stopping.deadline) }
        if reload.isUnderWay { times.append(now + Manager.pollInterval) }
        if let interval = stuckInterval { times.append(now + interval) }
        return times.min()
    }

    /// A signal has arrived, with the time limit of the one that requests a stop.
    mutating func handle(_ signal: Int32, _ limit: Duration?) {
        switch signal {
        case Signals.stop: stop(within: limit ?? settings.shutdownTimeout)
        case SIGTERM: system.requestShutdown()  // not from the master: a server needs its manager
        case SIGUSR1: begin(.all)
        case SIGUSR2: begin(.taskWorkers)
        case SIGHUP: for seat in seats where !seat.isEmpty { system.send(SIGHUP, to: seat.pid) }
        case SIGINT, SIGCHLD: break  // a terminal's Ctrl-C is for the master; ended children are reaped in any case
        default: Signals.logIgnored(signal, by: "the manager")
        }
    }

    // MARK: Processes

    private mutating func startDue() {
        guard !isStopping else { return }
        let now = now
        for id in seats.indices {
            guard let due = seats[id].startAt, due <= now else { continue }
            start(id)
        }
    }

    private mutating func start(_ id: Int) {
        let served = activity(of: id).served
        do throws(ServerError) {
            occupy(id, by: try system.start(id, fromProgram: system.usesProgram), served: served)
        } catch {
            system.log(.error, "\(error.message); trying again")
            seats[id].delay(at: now)
        }
    }

    mutating func occupy(_ id: Int, by pid: Int32, served: UInt64) {
        seats[id].occupy(by: pid, at: now, served: served)
        system.count(.start, of: id)
    }

    var now: ContinuousClock.Instant { system.now }

    func activity(of id: Int) -> Activity { system.activity(of: id) }

    mutating func ended(_ end: ProcessEnd) {
        if let candidate, end.pid == candidate.pid {
            return candidateEnded(candidate, end)
        }
        guard let id = seats.firstIndex(where: { $0.pid == end.pid }) else { return }
        let activity = activity(of: id)
        // In base mode its connections have ended with it, and the table must not list them any more.
        system.forget(id)
        // A process that was asked to end, or has reached its quota, may end soon after its start.
        let isExpected = end.isOrderly && (end.pid == reload.leaving || activity.ending == .quota || isStopping)
        let isDelayed = seats[id].vacate(orderly: isExpected, at: now)
        takeOver(id, after: end.pid)
        if isDelayed, id == reload.current, end.pid != reload.leaving { replacementFailed(id) }
        reload.forget(end.pid)
        // A custom process that blocks is ended by the signal itself.
        let isStopped = isStopping && end.signal == Signals.stop
        if !end.isOrderly, !isStopped, stopping?.isKilling != true {
            system.count(.failure, of: id)
            let failure = WorkerFailure(id: id, name: layout.name(of: id), end: end, activity: activity)
            let next = isStopping ? "" : isDelayed ? "; starting it again later" : "; starting it again"
            system.log(.warning, "\(failure)\(next)")
            handlers.workerError?(failure)
        } else if isDelayed, !isStopping {
            system.log(
                .warning, "\(layout.name(of: id)) (pid \(end.pid)) ended right after its start; starting it again later"
            )
        }
    }

    // MARK: Stop

    private mutating func stop(within limit: Duration) {
        guard !isStopping else { return }
        dropCandidate()
        var sequence = StopSequence(at: now, timeout: limit, closesConnections: mode == .base)
        sequence.begin(livingRoles, at: now)
        stopping = sequence
        stopCurrent()
    }

    private var livingRoles: [Role] { seats.filter { !$0.isEmpty }.map(\.role) }

    /// Asks the processes that are to end now to do so.
    private func stopCurrent() {
        guard let stopping else { return }
        let limit = stopping.limit(at: now)
        for seat in seats where !seat.isEmpty && stopping.includes(seat.role) {
            system.sendStop(to: seat.pid, within: limit)
        }
    }

    /// Returns true when all processes have ended.
    private mutating func stepStop() -> Bool {
        guard var sequence = stopping else { return false }
        let hasChanged = sequence.advance(alive: livingRoles, at: now)
        let mustKill = sequence.mustKill(at: now)
        stopping = sequence
        if hasChanged { stopCurrent() }
        if sequence.isOver { return true }
        if mustKill { killCurrent() }
        return false
    }

    /// Kills the processes that did not end in the time of their stage.
    private func killCurrent() {
        guard let stopping else { return }
        for seat in seats where !seat.isEmpty && stopping.includes(seat.role) {
            system.log(.warning, "\(layout.name(of: seat.id)) (pid \(seat.pid)) did not stop in time and is killed")
            system.send(SIGKILL, to: seat.pid)
        }
    }
}
