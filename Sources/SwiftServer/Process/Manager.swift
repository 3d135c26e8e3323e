internal import CReactor
internal import Glibc

/// The manager process: starts the workers, replaces those that end, and ends with the last of them.
///
/// It has one thread and does nothing but wait, so that forking from it is always safe.
struct Manager {
    private struct WorkerState {
        var pid: Int32 = 0
        var startedAt = ContinuousClock.now
        /// How often in a row it ended right after its start.
        var failures = 0
        /// When it is to be started, while it is not running.
        var startAt: ContinuousClock.Instant? = .now
    }

    /// A worker that ends sooner than this after its start has failed.
    private static let failsWithin: Duration = .seconds(1)
    private static let longestDelay: Duration = .seconds(5)

    private let server: Server
    private let bus: Bus
    private let layout: Layout
    private let listeners: Listeners
    private var workers: [WorkerState]
    /// Workers that a reload has yet to replace; the first of them is being replaced.
    private var toReplace: [Int] = []
    private var replaced: Int32 = 0
    private var replaceDeadline = ContinuousClock.now
    private var stopDeadline: ContinuousClock.Instant?
    private var isKilling = false

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
        workers = Array(repeating: WorkerState(), count: layout.workers)
    }

    private mutating func supervise() throws(ServerError) {
        unsafe cre_process_set_title("\(server.processName): manager")
        Log.setRole("manager")
        server.managerPID = getpid()
        let signals = try Signals(Signals.ofSupervisor)
        // The master's socket is not ours: a port must be free when its master is gone.
        if server.mode == .process { listeners.closeAll() }
        server.handlers.managerStart?(server)
        guard cre_process_threads() == 1 else {
            throw ServerError(
                code: .threadsRunning, message: "onManagerStart has started threads, and the manager must fork")
        }
        while true {
            startDue()
            stepReload()
            if let stopDeadline {
                if workers.allSatisfy({ $0.pid == 0 }) { break }
                if !isKilling, ContinuousClock.now >= stopDeadline { killAll() }
            }
            wait(for: signals)
            for signal in signals.pending() { handle(signal) }
            while let end = ProcessEnd.next() { ended(end) }
        }
        server.handlers.managerStop?(server)
    }

    /// Until a signal comes or something is due.
    private func wait(for signals: Signals) {
        var times = workers.compactMap(\.startAt)
        if let stopDeadline, !isKilling { times.append(stopDeadline) }
        if !toReplace.isEmpty { times.append(.now + .milliseconds(10)) }
        var timeout: Int32 = -1
        if let next = times.min() { timeout = Int32(max(0, (next - .now).milliseconds)) }
        var descriptor = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
        unsafe poll(&descriptor, 1, timeout)
    }

    private mutating func handle(_ signal: Int32) {
        switch signal {
        case Signals.stop: stop()
        case SIGTERM: server.shutdown()  // not from the master: workers without a manager are no server
        case SIGUSR1: reload()
        case SIGHUP:
            Log.reopen()
            for worker in workers where worker.pid > 0 { kill(worker.pid, SIGHUP) }
        case SIGINT, SIGCHLD: break  // a terminal's Ctrl-C is the master's business; SIGCHLD is looked for anyway
        default: Signals.tellUnused(signal, by: "the manager")
        }
    }

    // MARK: Workers

    private mutating func startDue() {
        guard stopDeadline == nil else { return }
        for id in workers.indices {
            guard let due = workers[id].startAt, due <= .now else { continue }
            start(id)
        }
    }

    private mutating func start(_ id: Int) {
        let own = server.mode == .base ? listeners.ofWorker(id) : nil
        let pid = cre_process_fork()
        if pid == 0 {
            if let own {
                for descriptor in listeners.all.subtracting(own) { close(descriptor) }
            }
            Worker.run(id: id, server: server, bus: bus, layout: layout, listeners: own)
        }
        workers[id].startedAt = .now
        if pid > 0 {
            workers[id].pid = pid
            workers[id].startAt = nil
        } else {
            Log.error("cannot start worker \(id): \(errorText(pid)); trying again")
            delay(id)
        }
    }

    private mutating func delay(_ id: Int) {
        workers[id].failures += 1
        let doubled = Duration.milliseconds(50 << min(workers[id].failures, 8))
        workers[id].startAt = .now + min(doubled, Manager.longestDelay)
    }

    private mutating func ended(_ end: ProcessEnd) {
        guard let id = workers.firstIndex(where: { $0.pid == end.pid }) else { return }
        workers[id].pid = 0
        // In base mode its connections ended with it, and the table must not go on showing them.
        bus.forget(node: layout.node(ofWorker: id))
        guard stopDeadline == nil else { return }
        if end.isOrderly && (end.pid == replaced || ContinuousClock.now - workers[id].startedAt >= Manager.failsWithin)
        {
            workers[id].failures = 0
            workers[id].startAt = .now
        } else if ContinuousClock.now - workers[id].startedAt < Manager.failsWithin {
            delay(id)
            Log.warning("worker \(id) (pid \(end.pid)) \(end) right after its start; starting it again later")
        } else {
            workers[id].failures = 0
            workers[id].startAt = .now
            Log.warning("worker \(id) (pid \(end.pid)) \(end); starting it again")
        }
    }

    // MARK: Reload

    /// Replaces the workers one after the other, so that there is always one to serve.
    private mutating func reload() {
        guard toReplace.isEmpty, stopDeadline == nil else {
            Log.warning("a reload or a stop is under way; this one is ignored")
            return
        }
        Log.notice("reloading \(workers.count) workers")
        toReplace = Array(workers.indices)
        replaceFirst()
    }

    private mutating func replaceFirst() {
        guard let id = toReplace.first else { return }
        replaced = workers[id].pid
        replaceDeadline = .now + server.settings.shutdownTimeout + .seconds(1)
        if replaced > 0 { kill(replaced, Signals.stop) }
    }

    private mutating func stepReload() {
        guard let id = toReplace.first, stopDeadline == nil else { return }
        let pid = workers[id].pid
        if pid > 0, pid == replaced, ContinuousClock.now >= replaceDeadline {
            Log.warning("worker \(id) (pid \(pid)) did not stop in time for the reload and is killed")
            kill(pid, SIGKILL)
            replaceDeadline = .now + .seconds(60)
        }
        guard pid > 0, pid != replaced, bus.pid(ofNode: layout.node(ofWorker: id)) == pid else { return }
        toReplace.removeFirst()
        if toReplace.isEmpty { Log.notice("all workers are reloaded") } else { replaceFirst() }
    }

    // MARK: Stop

    private mutating func stop() {
        guard stopDeadline == nil else { return }
        stopDeadline = .now + server.settings.shutdownTimeout + .seconds(1)
        for worker in workers where worker.pid > 0 { kill(worker.pid, Signals.stop) }
    }

    private mutating func killAll() {
        isKilling = true
        for id in workers.indices where workers[id].pid > 0 {
            Log.warning("worker \(id) (pid \(workers[id].pid)) did not stop in time and is killed")
            kill(workers[id].pid, SIGKILL)
        }
    }
}
