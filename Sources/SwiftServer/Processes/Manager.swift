internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The manager process: starts the workers, replaces those that end, and ends with the last of them.
///
/// It has one thread and does nothing but wait, so that forking from it is always safe.
struct Manager {
    let context: ServerContext
    let listeners: Listeners
    let now: () -> ContinuousClock.Instant
    var seats: [Seat]
    var reload = ReloadSequence()
    /// The reload that follows the one in progress.
    var nextReload: ReloadScope?
    /// The new program of a reload, before it takes over.
    var candidate: Candidate?
    private var stopping: StopSequence?

    var isStopping: Bool { stopping != nil }
    var bus: Bus { context.bus }
    var layout: Layout { context.layout }
    var settings: Settings { context.settings }

    static func run(_ context: ServerContext, _ listeners: Listeners) -> Never {
        var manager = Manager(context, listeners)
        do throws(ServerError) {
            try manager.supervise()
        } catch {
            Log.error("the manager cannot start: \(error.message)")
            ProcessEnd.exit(1)
        }
        ProcessEnd.exit(0)
    }

    private init(_ context: ServerContext, _ listeners: Listeners) {
        self.context = context
        self.listeners = listeners
        let now = { ContinuousClock.now }
        self.now = now
        let layout = context.layout
        seats = (0..<layout.processes).map { Seat(id: $0, role: layout.role(of: $0), at: now()) }
    }

    private mutating func supervise() throws(ServerError) {
        unsafe cre_process_set_title("\(context.configuration.processName): manager")
        Log.begin(role: "manager")
        context.managerPID = getpid()
        let signals = try Signals(Signals.ofSupervisor)
        // Only the master may keep its sockets: the ports must be free as soon as it has ended.
        if context.mode == .process { listeners.closeAll() }
        context.client = try BusClient(node: layout.manager, loop: nil, bus: bus, layout: layout)
        context.handlers.managerStart?()
        guard cre_process_threads() == 1 else {
            throw ServerError(
                code: .threadsRunning, message: "onManagerStart has started threads, and the manager must fork")
        }
        while true {
            startDue()
            stepReload()
            if stepStop() { break }
            watchStuck()
            wait(for: signals)
            for signal in signals.pending() { handle(signal.number, signal.limit) }
            while let end = ProcessEnd.next() { ended(end) }
        }
        context.handlers.managerStop?()
    }

    /// The interval at which the manager checks processes that cannot wake it.
    private static let pollInterval: Duration = .milliseconds(10)

    /// Waits until a signal arrives or something is due.
    private func wait(for signals: Signals) {
        let now = now()
        var times = isStopping ? [] : seats.compactMap(\.startAt)
        if let stopping, !stopping.isKilling { times.append(stopping.deadline) }
        if reload.isUnderWay { times.append(now + Manager.pollInterval) }
        if Log.flush() { times.append(now + Log.retryInterval) }
        if let interval = stuckInterval { times.append(now + interval) }
        var timeout: Int32 = -1
        if let next = times.min() { timeout = Int32(max(0, (next - now).milliseconds)) }
        var descriptor = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
        unsafe poll(&descriptor, 1, timeout)
    }

    private mutating func handle(_ signal: Int32, _ limit: Duration?) {
        switch signal {
        case Signals.stop: stop(within: limit ?? settings.shutdownTimeout)
        case SIGTERM: context.flags.shutdown.raise()  // not from the master: a server needs its manager
        case SIGUSR1: begin(.all)
        case SIGUSR2: begin(.taskWorkers)
        case SIGHUP:
            Log.reopen()
            for seat in seats where !seat.isEmpty { kill(seat.pid, SIGHUP) }
        case SIGINT, SIGCHLD: break  // a terminal's Ctrl-C is for the master; ended children are reaped in any case
        default: Signals.logIgnored(signal, by: "the manager")
        }
    }

    // MARK: Processes

    private mutating func startDue() {
        guard !isStopping else { return }
        let now = now()
        for id in seats.indices {
            guard let due = seats[id].startAt, due <= now else { continue }
            start(id)
        }
    }

    private mutating func start(_ id: Int) {
        if usesProgram { return startProgram(id) }
        let served = activity(of: id).served
        let pid = fork(id)
        if pid > 0 {
            occupy(id, by: pid, served: served)
        } else {
            Log.error("cannot start \(layout.name(of: id)): \(errorText(pid)); trying again")
            seats[id].delay(at: now())
        }
    }

    /// Forks the process for a seat. Returns its pid or an error. With a control channel, of which the first end is the
    /// manager's, it waits for permission to begin.
    func fork(_ id: Int, _ channel: (ControlChannel, ControlChannel)? = nil) -> Int32 {
        let own = context.mode == .base && seats[id].role == .worker ? listeners.ofWorker(id) : nil
        let pid = cre_process_fork()
        if pid == 0 {
            if context.mode == .base {
                for descriptor in listeners.all.subtracting(own ?? []) { close(descriptor) }
            }
            candidate?.control.end()
            channel?.0.end()
            context.client = nil
            WorkerProcess.run(id, context, listeners: own, control: channel?.1)
        }
        return pid
    }

    private mutating func startProgram(_ id: Int) {
        do throws(ServerError) {
            let served = activity(of: id).served
            occupy(id, by: try execute(id), served: served)
        } catch {
            Log.error("\(error.message); trying again")
            seats[id].delay(at: now())
        }
    }

    mutating func occupy(_ id: Int, by pid: Int32, served: UInt64) {
        seats[id].occupy(by: pid, at: now(), served: served)
        bus.count(.start, node: layout.node(of: id))
    }

    func activity(of id: Int) -> Activity { Activity(bus, node: layout.node(of: id)) }

    private mutating func ended(_ end: ProcessEnd) {
        if let candidate, end.pid == candidate.pid {
            return candidateEnded(candidate, end)
        }
        guard let id = seats.firstIndex(where: { $0.pid == end.pid }) else { return }
        let activity = activity(of: id)
        // In base mode its connections have ended with it, and the table must not list them any more.
        bus.forget(node: layout.node(of: id))
        // A process that was asked to end, or has reached its quota, may end soon after its start.
        let isExpected = end.isOrderly && (end.pid == reload.leaving || activity.ending == .quota || isStopping)
        let isDelayed = seats[id].vacate(orderly: isExpected, at: now())
        takeOver(id, after: end.pid)
        if isDelayed, id == reload.current, end.pid != reload.leaving { replacementFailed(id) }
        // A custom process that blocks is ended by the signal itself.
        let isStopped = isStopping && end.signal == Signals.stop
        if !end.isOrderly, !isStopped, stopping?.isKilling != true {
            bus.count(.failure, node: layout.node(of: id))
            let failure = WorkerFailure(id: id, name: layout.name(of: id), end: end, activity: activity)
            let next = isStopping ? "" : isDelayed ? "; starting it again later" : "; starting it again"
            Log.warning("\(failure)\(next)")
            context.handlers.workerError?(failure)
        } else if isDelayed, !isStopping {
            Log.warning("\(layout.name(of: id)) (pid \(end.pid)) ended right after its start; starting it again later")
        }
    }

    // MARK: Stop

    private mutating func stop(within limit: Duration) {
        guard !isStopping else { return }
        if let candidate { kill(candidate.pid, SIGKILL) }
        candidate = nil
        var sequence = StopSequence(at: now(), timeout: limit, closesConnections: context.mode == .base)
        sequence.begin(livingRoles, at: now())
        stopping = sequence
        stopCurrent()
    }

    private var livingRoles: [Role] { seats.filter { !$0.isEmpty }.map(\.role) }

    /// Asks the processes that are to end now to do so.
    private func stopCurrent() {
        guard let stopping else { return }
        let limit = stopping.limit(at: now())
        for seat in seats where !seat.isEmpty && stopping.includes(seat.role) {
            Signals.sendStop(to: seat.pid, within: limit)
        }
    }

    /// Returns true when all processes have ended.
    private mutating func stepStop() -> Bool {
        guard var sequence = stopping else { return false }
        let hasChanged = sequence.advance(alive: livingRoles, at: now())
        let mustKill = sequence.mustKill(at: now())
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
            Log.warning("\(layout.name(of: seat.id)) (pid \(seat.pid)) did not stop in time and is killed")
            kill(seat.pid, SIGKILL)
        }
    }
}
