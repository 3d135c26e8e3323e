internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The manager process: starts the workers, replaces those that end, and ends with the last of them.
///
/// It has one thread and does nothing but wait, so that forking from it is always safe.
struct Manager {
    let server: Server
    let bus: Bus
    let layout: Layout
    let listeners: Listeners
    var seats: [Seat]
    var reload = Reload()
    /// The roles that are being stopped, one after the other: tasks are still done while workers wait for their results.
    private var stopping: ArraySlice<(Role) -> Bool>?
    private var stopDeadline = ContinuousClock.now
    private var isKilling = false

    var isStopping: Bool { stopping != nil }

    static func run(server: Server, bus: Bus, layout: Layout, listeners: Listeners) -> Never {
        var manager = Manager(server: server, bus: bus, layout: layout, listeners: listeners)
        do throws(ServerError) {
            try manager.supervise()
        } catch {
            Log.error("the manager cannot start: \(error.message)")
            cre_process_exit(1)
        }
        cre_process_exit(0)
    }

    private init(server: Server, bus: Bus, layout: Layout, listeners: Listeners) {
        self.server = server
        self.bus = bus
        self.layout = layout
        self.listeners = listeners
        seats = (0..<layout.processes).map { Seat(id: $0, role: layout.role(of: $0)) }
    }

    private mutating func supervise() throws(ServerError) {
        unsafe cre_process_set_title("\(server.processName): manager")
        Log.setRole("manager")
        server.managerPID = getpid()
        let signals = try Signals(Signals.ofSupervisor)
        // The master's socket is not ours: a port must be free when its master is gone.
        if server.mode == .process { listeners.closeAll() }
        server.sender = try Sender(node: layout.manager, loop: nil, bus: bus, layout: layout)
        server.handlers.managerStart?(server)
        guard cre_process_threads() == 1 else {
            throw ServerError(
                code: .threadsRunning, message: "onManagerStart has started threads, and the manager must fork")
        }
        while true {
            startDue()
            stepReload()
            if stepStop() { break }
            watchStuck()
            server.sender?.flush()
            wait(for: signals)
            for signal in signals.pending() { handle(signal) }
            while let end = ProcessEnd.next() { ended(end) }
        }
        server.handlers.managerStop?(server)
    }

    /// Until a signal comes or something is due.
    private func wait(for signals: Signals) {
        var times = isStopping ? [] : seats.compactMap(\.startAt)
        if isStopping, !isKilling { times.append(stopDeadline) }
        if reload.isUnderWay || server.sender?.isCongested == true { times.append(.now + .milliseconds(10)) }
        if let interval = stuckInterval { times.append(.now + interval) }
        var timeout: Int32 = -1
        if let next = times.min() { timeout = Int32(max(0, (next - .now).milliseconds)) }
        var descriptor = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
        unsafe poll(&descriptor, 1, timeout)
    }

    private mutating func handle(_ signal: Int32) {
        switch signal {
        case Signals.stop: stop()
        case SIGTERM: server.shutdown()  // not from the master: workers without a manager are no server
        case SIGUSR1: begin(.all)
        case SIGUSR2: begin(.taskWorkers)
        case SIGHUP:
            Log.reopen()
            for seat in seats where !seat.isEmpty { kill(seat.pid, SIGHUP) }
        case SIGINT, SIGCHLD: break  // a terminal's Ctrl-C is the master's business; SIGCHLD is looked for anyway
        default: Signals.tellUnused(signal, by: "the manager")
        }
    }

    // MARK: Processes

    private mutating func startDue() {
        guard !isStopping else { return }
        for id in seats.indices {
            guard let due = seats[id].startAt, due <= .now else { continue }
            start(id)
        }
    }

    private mutating func start(_ id: Int) {
        if usesProgram { return startProgram(id) }
        let own = server.mode == .base && seats[id].role == .worker ? listeners.ofWorker(id) : nil
        let pid = cre_process_fork()
        if pid == 0 {
            if server.mode == .base {
                for descriptor in listeners.all.subtracting(own ?? []) { close(descriptor) }
            }
            reload.candidate?.control.end()
            server.sender = nil
            Worker.run(id: id, server: server, bus: bus, layout: layout, listeners: own)
        }
        if pid > 0 {
            seats[id].taken(by: pid)
        } else {
            Log.error("cannot start \(layout.name(of: id)): \(errorText(pid)); trying again")
            seats[id].delay()
        }
    }

    private mutating func startProgram(_ id: Int) {
        do throws(ServerError) {
            seats[id].taken(by: try execute(id))
        } catch {
            Log.error("\(error.message); trying again")
            seats[id].delay()
        }
    }

    private mutating func ended(_ end: ProcessEnd) {
        if let candidate = reload.candidate, end.pid == candidate.pid {
            return candidateEnded(candidate, end)
        }
        guard let id = seats.firstIndex(where: { $0.pid == end.pid }) else { return }
        let activity = Activity(bus, node: layout.node(of: id))
        // In base mode its connections ended with it, and the table must not go on showing them.
        bus.forget(node: layout.node(of: id))
        // One that was told to, or has served its share, may end as soon as it likes.
        let isExpected = end.isOrderly && (end.pid == reload.leaving || activity.ending == .served || isStopping)
        let mustWait = seats[id].left(orderly: isExpected)
        takeOver(id, after: end.pid)
        if mustWait, id == reload.seats.first, end.pid != reload.leaving { replacementFailed(id) }
        // A process of the user's own that blocks is ended by the signal itself.
        let isStopped = isStopping && end.signal == Signals.stop
        if !end.isOrderly, !isStopped, !isKilling {
            let failure = WorkerFailure(id: id, name: layout.name(of: id), end: end, activity: activity)
            let next = isStopping ? "" : mustWait ? "; starting it again later" : "; starting it again"
            Log.warning("\(failure)\(next)")
            server.handlers.workerError?(server, failure)
        } else if mustWait, !isStopping {
            Log.warning("\(layout.name(of: id)) (pid \(end.pid)) ended right after its start; starting it again later")
        }
    }

    // MARK: Stop

    private mutating func stop() {
        guard !isStopping else { return }
        if let candidate = reload.candidate { kill(candidate.pid, SIGKILL) }
        reload.candidate = nil
        stopDeadline = .now + server.settings.shutdownTimeout + .seconds(1)
        stopping = [{ $0 == .worker }, { $0 == .taskWorker }, { !$0.isManaged }]
        stopFirst()
    }

    private func stopFirst() {
        guard let first = stopping?.first else { return }
        for seat in seats where !seat.isEmpty && first(seat.role) { kill(seat.pid, Signals.stop) }
    }

    /// True when all is over.
    private mutating func stepStop() -> Bool {
        guard isStopping else { return false }
        while let first = stopping?.first, !seats.contains(where: { !$0.isEmpty && first($0.role) }) {
            stopping!.removeFirst()
            stopFirst()
        }
        if stopping!.isEmpty { return true }
        if !isKilling, ContinuousClock.now >= stopDeadline { killAll() }
        return false
    }

    private mutating func killAll() {
        isKilling = true
        for seat in seats where !seat.isEmpty {
            Log.warning("\(layout.name(of: seat.id)) (pid \(seat.pid)) did not stop in time and is killed")
            kill(seat.pid, SIGKILL)
        }
    }
}
