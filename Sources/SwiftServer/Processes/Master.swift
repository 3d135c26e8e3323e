internal import CExecutorHook
internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The master process: accepts connections, runs the reactor threads that own them, takes signals, and keeps a manager.
@safe final class Master: @unchecked Sendable {
    // `@unchecked`: everything happens on the main thread, except what is documented to be called by a reactor.
    private let context: ServerContext
    private let startup: Startup
    private let listeners: Listeners
    /// Exists when the manager does: a fork must not copy it.
    private var loop: EventLoop?
    private var timers: Timers?
    /// Exists when the manager does: a fork copies no thread.
    private var watchdog: Watchdog?
    private var certificates = Certificates.none
    private var reactors: [Reactor] = []
    private var acceptors: [Acceptor] = []
    private var nextReactor = 0
    private var monitoring: AnsweringPort?
    private var control: AnsweringPort?
    private var topics: BusClient.TopicReceiver?
    private var supervisor: Supervisor?
    /// The descriptors that were open before the master's own: those that a replaced manager may keep.
    private var inheritable: [Int32] = []
    /// Closed in a new manager, which needs a descriptor to list the others even when the master is at its limit.
    private var spare: Int32 = -1
    private var isStopping = false
    /// Whether a signal has requested the stop; a second one stops at once.
    private var wasSignalled = false
    private var reactorsLeft = 0
    private var failure: ServerError?

    private var layout: Layout { context.layout }
    private var mode: ServerMode { context.mode }

    init(_ context: ServerContext, _ startup: Startup) throws(ServerError) {
        self.context = context
        self.startup = startup
        guard let listeners = startup.listeners else { throw .setting("a server needs a port") }
        self.listeners = listeners
    }

    func run() throws(ServerError) {
        // Opened first: signals that arrive while the processes start are read later.
        let signals = try Signals(Signals.ofSupervisor)
        try startManager()
        if mode == .base { listeners.closeAll() }
        rememberDescriptors()
        unsafe cre_process_set_title("\(context.configuration.processName): master")
        do throws(ServerError) {
            try serve(signals)
        } catch {
            failure = error
            kill(context.managerPID, SIGKILL)
        }
        _ = watchdog?.begin()
        for reactor in reactors { reactor.stop() }
        endLoop()
        context.handlers.shutdown?()
        watchdog?.end()
        signals.close()
        if let failure { throw failure }
    }

    private func serve(_ signals: Signals) throws(ServerError) {
        let loop = try EventLoop()
        self.loop = loop
        loop.becomeMainActor()
        let watchdog = try Watchdog(
            signals, stop: context.flags.shutdown, limit: context.settings.stopLimit)
        self.watchdog = watchdog
        watchdog.watch(manager: context.managerPID)
        loop.watch(watchdog.descriptor) { [unowned self] in
            for signal in watchdog.pending() { handle(signal) }
        }
        watchFlags(loop)
        let timers = Timers(loop: loop)
        self.timers = timers
        Log.retry(on: loop, timers)
        if mode == .process {
            try startReactors()
            try accept(loop)
        }
        let survey = OwnerSurvey<TopicList>(owners: layout.owners, timers: timers, most: 16)
        let receiver = BusClient.TopicReceiver { survey.receive($0, from: $1, $2) }
        topics = receiver
        let connections = ControlCommands.ConnectionCommands(
            publish: { [unowned self] in context.client?.publish($0, to: $1) ?? .closed },
            close: { [unowned self] in context.client?.close($0, code: $1, reason: $2) ?? .closed },
            topics: { [unowned self] filter, done in
                guard let client = context.client else { return false }
                return survey.ask(
                    within: .seconds(1), send: { client.askTopics(filter, of: $0, $1) }, done: done)
            })
        monitoring = try startup.serveMonitoring(context, loop, connections)
        control = try startup.serveControl(context, loop, connections)
        Log.notice(ListeningNotice.text(context))
        try startup.isListening()
        context.client = try unsafe BusClient(
            node: layout.master, loop: loop, bus: context.bus, layout: layout,
            cluster: context.configuration.clusterPlace?.raw, topics: receiver)
        startup.statistics?.keep(timers, context.statistics)
        ShortageLog(context.bus).start(timers)
        context.handlers.start?()
        startup.hasStarted()
        supervisor = Supervisor()
        supervisor?.follow(context.monitor, timers)
        loop.run()
    }

    /// After this the program continues, with the main actor's own executor.
    private func endLoop() {
        guard let loop else { return }
        for acceptor in acceptors { acceptor.stop() }
        acceptors = []
        monitoring?.close()
        monitoring = nil
        control?.close()
        control = nil
        timers?.clearAll()
        context.client?.close()
        context.client = nil
        loop.end()
    }

    /// Carries out the requests of other processes.
    private func watchFlags(_ loop: EventLoop) {
        func when(_ flag: Flag, _ act: @escaping () -> Void) {
            loop.watch(flag.descriptor) { if flag.take() { act() } }
        }
        when(context.flags.shutdown) { [unowned self] in if !isStopping { stop() } }
        when(context.flags.reload) { [unowned self] in kill(context.managerPID, SIGUSR1) }
        when(context.flags.reloadTaskWorkers) { [unowned self] in kill(context.managerPID, SIGUSR2) }
    }

    // MARK: Connections

    private func startReactors() throws(ServerError) {
        var engine = unsafe context.configuration.engineConfig()
        unsafe engine.first_worker = UInt16(layout.reactors)
        unsafe engine.worker_count = UInt16(layout.workers)
        unsafe context.settings.dispatch.apply(to: &engine, ports: context.ports)
        certificates = try context.configuration.readCertificates()
        let tls = context.configuration.ports.map { certificates.context(ofPort: $0.index) }
        for index in 0..<layout.reactors {
            let reactor = try unsafe Reactor(
                node: index, bus: context.bus, engine: engine, tls: tls,
                cluster: context.configuration.clusterPlace?.raw,
                started: { [confinement = context.confinement] in confinement.enterReactor(node: index) },
                protocolError: { [unowned self] in killWorker(ofNode: $0) },
                repaired: { Log.error(BusRepair.message($0)) })
            reactors.append(reactor)
        }
    }

    private func accept(_ loop: EventLoop) throws(ServerError) {
        for port in context.configuration.ports {
            let socket = listeners.sockets[port.index][0]
            let index = UInt16(port.index)
            if port.type == .udp {
                try reactors[port.index % reactors.count].serve(socket, port: index)
            } else {
                acceptors.append(
                    try Acceptor(loop: loop, descriptor: socket, bus: context.bus, node: layout.master) {
                        [unowned self] in accepted($0, index)
                    })
            }
        }
    }

    private func accepted(_ descriptor: Int32, _ port: UInt16) {
        let error = reactors[nextReactor].handOver(descriptor, port: port)
        if error != 0 { context.bus.countAcceptFailure(node: layout.master, error, refused: true) }
        nextReactor = (nextReactor + 1) % reactors.count
    }

    /// A worker has written a corrupt record into shared memory, so it cannot be trusted any more. On a reactor's
    /// thread.
    private func killWorker(ofNode node: Int) {
        guard layout.id(ofNode: node) >= 0 else { return }  // master and manager: a worker has overwritten their rings
        let pid = context.bus.pid(ofNode: node)
        Log.error("\(layout.name(ofNode: node)) (pid \(pid)) sent a corrupt record and is killed")
        // The pid is read from the same memory: only a child of the manager is killed.
        if pid > 0, cre_process_parent(pid) == context.managerPID { kill(pid, SIGKILL) }
    }

    // MARK: Manager

    private func startManager() throws(ServerError) {
        let pid = cre_process_fork()
        if pid == 0 {
            for descriptor in startup.descriptors { close(descriptor) }
            if spare >= 0 { close(spare) }
            if !inheritable.isEmpty {
                // In each fork libuv closes a pipe of its own by its number. If it was closed here, that number could
                // belong to something else by then.
                let keep = (inheritable + Descriptors.open().filter(Descriptors.isPipe)).sorted()
                unsafe keep.withUnsafeBufferPointer {
                    unsafe cre_process_close_others($0.baseAddress, $0.count)
                }
                // libdispatch remembers the number of a descriptor that was just closed: it is occupied again before
                // something else can get it.
                _ = ceh_main_queue_descriptor()
            }
            EventLoop.resignMainActor()
            ManagerProcess.run(context, listeners)
        }
        guard pid > 0 else { throw .system("cannot start the manager", pid) }
        context.managerPID = pid
    }

    private func rememberDescriptors() {
        inheritable = Descriptors.open()
        inheritable.removeAll { startup.descriptors.contains($0) }
        spare = dup(0)
        _ = fcntl(spare, F_SETFD, FD_CLOEXEC)
    }

    private func managerEnded(_ end: ProcessEnd) {
        watchdog?.watch(manager: 0)  // its pid may be reused soon
        if isStopping {
            loop?.stop()
            return
        }
        Log.error("the manager (pid \(end.pid)) \(end); starting another one")
        // Workers die with their manager. In base mode their sockets are closed too, and the master has no copy.
        for id in 0..<layout.processes { context.bus.forget(node: layout.node(of: id)) }
        do throws(ServerError) {
            guard mode == .process else {
                throw ServerError(code: .system, message: "the manager ended, and with it all listening sockets")
            }
            guard cre_process_threads() == 2 + Int32(layout.reactors) else {  // and the watchdog
                let obstacle = cre_process_threads() > 0 ? "the application runs threads in it" : "/proc is not mounted"
                throw ServerError(
                    code: .threadsRunning, message: "the manager ended, and the master cannot fork: \(obstacle)")
            }
            try startManager()
            watchdog?.watch(manager: context.managerPID)
        } catch {
            Log.error("\(error.message); the server stops")
            failure = error
            loop?.stop()
        }
    }

    // MARK: Signals

    private func handle(_ signal: Int32) {
        Log.debug("signal \(Signals.name(signal))")
        switch signal {
        case SIGTERM, SIGINT:
            if wasSignalled { stopNow() } else if !isStopping { stop() }
            wasSignalled = true
        case SIGUSR1, SIGUSR2: kill(context.managerPID, signal)
        case SIGHUP:
            Log.reopen(creates: true)
            certificates.reload()
            kill(context.managerPID, SIGHUP)
        case SIGCHLD:
            while let end = ProcessEnd.next() {
                if end.pid == context.managerPID { managerEnded(end) } else { Log.debug("orphan \(end.pid) \(end)") }
            }
        default: Signals.logIgnored(signal, by: "the master")
        }
    }

    /// Stops when the time has passed in which others notice that the server is no longer ready.
    private func stop() {
        isStopping = true
        _ = watchdog?.begin()
        context.flags.draining.raise()
        supervisor?.stopping()
        let delay = context.settings.drainDelay
        guard delay > .zero, let timers else { return endService() }
        Log.notice("stopping in \(delay); until then only probes of readiness fail")
        _ = timers.start(after: delay, every: nil) { [unowned self] _ in endService() }
    }

    /// Stops in order: no new connections, then the open ones are closed, then the processes end.
    private func endService() {
        context.flags.stopping.raise()
        context.handlers.beforeShutdown?()
        for acceptor in acceptors { acceptor.stop() }
        acceptors = []
        reactorsLeft = reactors.count
        if reactorsLeft == 0 { stopManager() }
        let limit = StopSequence.share(of: watchdog?.begin() ?? .zero, isFirst: true, isLast: false)
        for reactor in reactors {
            let isAccepted = reactor.shutDown(deadline: limit) { [unowned self] in
                loop?.post { self.reactorDone() }
            }
            if !isAccepted { reactorDone() }
        }
    }

    private func reactorDone() {
        reactorsLeft -= 1
        if reactorsLeft == 0 { stopManager() }
    }

    /// Stops the manager in the time that is left. The watchdog kills it if it does not end.
    private func stopManager() { Signals.sendStop(to: context.managerPID, within: watchdog?.begin() ?? .zero) }

    /// Stops without waiting, at the second request. The watchdog has killed the manager, and its workers die with it.
    private func stopNow() {
        Log.warning("stopping at once")
    }
}
