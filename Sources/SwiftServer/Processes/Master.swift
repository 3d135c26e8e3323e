internal import CExecutorHook
internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The master process: accepts connections, runs the reactor threads that own them, takes signals, and keeps a manager.
@safe final class Master: @unchecked Sendable {
    // `@unchecked`: everything happens on the main thread, except what is said to be called by a reactor.
    private static nonisolated(unsafe) var isRunning = false
    /// Whether a server was started, and has not ended, in this process or one that it was forked from.
    static var isInUse: Bool {
        get { unsafe isRunning }
        set { unsafe isRunning = newValue }
    }

    private let server: Server
    private let layout: Layout
    private var loop: EventLoop!
    private var bus: Bus!
    private var launch: Launch!
    private var listeners: Listeners!
    private var reactors: [Reactor] = []
    private var acceptors: [Acceptor] = []
    private var nextReactor = 0
    /// What was open before the master opened things of its own: all that a manager started later may keep.
    private var inheritable: [Int32] = []
    private var isStopping = false
    /// A signal has asked for the stop; another one means at once.
    private var wasSignalled = false
    private var reactorsLeft = 0
    private var failure: ServerError?
    private var statistics: StatisticsFile?
    private var timers: Timers!

    init(server: Server) {
        self.server = server
        layout = Layout(server: server)
    }

    func run() throws(ServerError) {
        guard unsafe !Master.isRunning, server.masterPID == 0 else {
            throw ServerError(code: .alreadyStarted, message: "start() was called before in this process")
        }
        try checkThreads()
        try checkCertificates()
        unsafe Master.isRunning = true
        defer { unsafe Master.isRunning = false }
        launch = try Launch(server)
        defer { launch.end() }
        listeners = try Listeners(ports: server.ports, mode: server.mode, settings: server.settings)
        defer { listeners.removeFiles() }
        server.port = server.ports[0].port
        bus = try Bus(server.settings.busConfig(nodes: layout.nodes, largestPacket: server.largestPacket))
        server.bus = bus
        server.orders = try Orders()
        statistics = StatisticsFile(server.settings)
        try statistics?.begin(server)
        server.program = Program(path: server.settings.program)
        signal(SIGPIPE, SIG_IGN)  // whoever reads our log may go away
        try launch.detach()
        do throws(ServerError) { try live() } catch {
            launch.tell(error)
            throw error
        }
    }

    /// From here on there are other processes.
    private func live() throws(ServerError) {
        server.masterPID = getpid()
        Log.setRole("master")
        server.settings.allowDescriptors()
        _ = CommandLine.arguments  // copied by the runtime before the title is written over the originals
        cre_process_set_title(nil)
        cre_process_line_buffered()
        // Opened first: a signal that comes while the processes start waits until there is somebody to take it.
        let signals = try Signals(Signals.ofSupervisor)
        try startManager()
        if server.mode == .base { listeners.closeAll() }
        rememberDescriptors()
        unsafe cre_process_set_title("\(server.processName): master")
        do throws(ServerError) {
            try serve(signals)
        } catch {
            failure = error
            kill(server.managerPID, SIGKILL)
        }
        for reactor in reactors { reactor.stop() }
        cre_signals_close(signals.descriptor)
        server.handlers.shutdown?(server)
        if let failure { throw failure }
    }

    /// A fork copies one thread. What the others hold, locks above all, the child would wait for for ever.
    private func checkThreads() throws(ServerError) {
        let threads = cre_process_threads()
        guard threads != 1 else { return }
        throw ServerError(
            code: .threadsRunning,
            message: """
                \(threads) threads run already, and start() must fork. Call it before anything that starts threads: \
                Task, async main with an await before, DispatchQueue, Thread, URLSession
                """)
    }

    /// Workers that own sockets inherit what is read here. In process mode it is for the check alone: the master reads it
    /// again after the fork, so that those who run handlers have no key.
    private func checkCertificates() throws(ServerError) {
        for port in server.ports {
            try port.readCertificates()
            if server.mode == .process { port.tlsContext = nil }
        }
    }

    private func serve(_ signals: Signals) throws(ServerError) {
        loop = try EventLoop()
        loop.becomeMainActor()
        loop.watch(signals.descriptor) { [unowned self] in
            for signal in signals.pending() { handle(signal) }
        }
        obey()
        if server.mode == .process {
            try startReactors()
            try accept()
        }
        Log.notice(
            "listening on \(server.host) port \(server.port), \(server.mode.rawValue) mode, \(layout.workers) workers")
        try launch.tellMaster()
        server.sender = try Sender(node: layout.master, loop: loop, bus: bus, layout: layout)
        timers = Timers(loop: loop)
        statistics?.keep(server, timers)
        server.handlers.start?(server)
        launch.tell(nil)
        loop.run()
    }

    /// What any process may ask for.
    private func obey() {
        guard let orders = server.orders else { return }
        func when(_ flag: Flag, _ act: @escaping () -> Void) {
            loop.watch(flag.descriptor) { if flag.take() { act() } }
        }
        when(orders.shutdown) { [unowned self] in if !isStopping { stop() } }
        when(orders.reload) { [unowned self] in kill(server.managerPID, SIGUSR1) }
        when(orders.reloadTaskWorkers) { [unowned self] in kill(server.managerPID, SIGUSR2) }
    }

    // MARK: Connections

    private func startReactors() throws(ServerError) {
        var engine = unsafe server.engineConfig()
        unsafe engine.first_worker = UInt16(layout.reactors)
        unsafe engine.worker_count = UInt16(layout.workers)
        unsafe server.settings.dispatch.apply(to: &engine, ports: server.ports.map(\.port))
        for port in server.ports { try port.readCertificates() }
        let tls = server.ports.map(\.tlsContext)
        for index in 0..<layout.reactors {
            let reactor = try unsafe Reactor(
                node: index, bus: bus, engine: engine, tls: tls,
                started: { [confinement = server.confinement] in confinement?.enterReactor(node: index) ?? 0 },
                violation: { [unowned self] in punish($0) })
            reactors.append(reactor)
        }
    }

    private func accept() throws(ServerError) {
        for (index, port) in server.ports.enumerated() {
            let socket = listeners.sockets[index][0]
            if port.type == .udp {
                try reactors[index % reactors.count].serve(socket, port: UInt16(index))
            } else {
                acceptors.append(
                    try Acceptor(loop: loop, descriptor: socket) { [unowned self] in accepted($0, UInt16(index)) })
            }
        }
    }

    private func accepted(_ descriptor: Int32, _ port: UInt16) {
        reactors[nextReactor].handOver(descriptor, port: port)
        nextReactor = (nextReactor + 1) % reactors.count
    }

    /// A worker wrote into shared memory what no worker writes. Whatever broke it, it cannot be trusted further.
    private func punish(_ node: Int) {
        let pid = bus.pid(ofNode: node)
        Log.error("\(layout.name(ofNode: node)) (pid \(pid)) sent a damaged record and is killed")
        // The pid comes from the same memory: only a child of the manager is killed for it.
        if node >= layout.reactors, pid > 0, cre_process_parent(pid) == server.managerPID { kill(pid, SIGKILL) }
    }

    // MARK: Manager

    private func startManager() throws(ServerError) {
        let pid = cre_process_fork()
        if pid == 0 {
            for descriptor in launch.descriptors { close(descriptor) }
            if !inheritable.isEmpty {
                // libuv has a pipe that it closes, by its number, in each fork: would it be closed here, that number could
                // be something else's by then.
                let keep = (inheritable + Master.descriptors().filter(Master.isPipe)).sorted()
                unsafe keep.withUnsafeBufferPointer {
                    unsafe cre_process_close_others($0.baseAddress, $0.count)
                }
                // libdispatch keeps the number of a descriptor that was just closed: it is taken before others can have it.
                _ = ceh_main_queue_descriptor()
            }
            Manager.run(server: server, bus: bus, layout: layout, listeners: listeners)
        }
        guard pid > 0 else { throw .system("starting the manager", pid) }
        server.managerPID = pid
    }

    private func rememberDescriptors() {
        inheritable = Master.descriptors()
        inheritable.removeAll { launch.descriptors.contains($0) }
    }

    private static func descriptors() -> [Int32] {
        unsafe [Int32](unsafeUninitializedCapacity: 65_536) { buffer, count in
            count = Int(max(0, unsafe cre_process_descriptors(buffer.baseAddress, buffer.count)))
        }
    }

    private static func isPipe(_ descriptor: Int32) -> Bool {
        var info = stat()
        return unsafe fstat(descriptor, &info) == 0 && info.st_mode & S_IFMT == S_IFIFO
    }

    private func managerEnded(_ end: ProcessEnd) {
        if isStopping {
            loop.stop()
            return
        }
        Log.error("the manager (pid \(end.pid)) \(end); starting another one")
        // Workers die with their manager. In base mode their sockets are gone too, and nobody has a copy.
        for id in 0..<layout.processes { bus.forget(node: layout.node(of: id)) }
        do throws(ServerError) {
            guard server.mode == .process else {
                throw ServerError(code: .system, message: "the manager ended, and with it all listening sockets")
            }
            guard cre_process_threads() == 1 + Int32(layout.reactors) else {
                throw ServerError(
                    code: .threadsRunning,
                    message: "the manager ended, and the master has threads of others: it cannot fork")
            }
            try startManager()
        } catch {
            Log.error("\(error.message); the server stops")
            failure = error
            loop.stop()
        }
    }

    // MARK: Signals

    private func handle(_ signal: Int32) {
        Log.debug("signal \(ProcessEnd.name(signal))")
        switch signal {
        case SIGTERM, SIGINT:
            if wasSignalled { stopNow() } else if !isStopping { stop() }
            wasSignalled = true
        case SIGUSR1, SIGUSR2: kill(server.managerPID, signal)
        case SIGHUP:
            Log.reopen(creates: true)
            if server.mode == .process { server.reloadCertificates() }
            kill(server.managerPID, SIGHUP)
        case SIGCHLD:
            while let end = ProcessEnd.next() {
                if end.pid == server.managerPID { managerEnded(end) } else { Log.debug("orphan \(end.pid) \(end)") }
            }
        default: Signals.tellUnused(signal, by: "the master")
        }
    }

    /// Stop in order: no new connections, the old ones closed, then the processes.
    private func stop() {
        isStopping = true
        server.orders?.stopping.raise()
        server.handlers.beforeShutdown?(server)
        for acceptor in acceptors { acceptor.stop() }
        acceptors = []
        reactorsLeft = reactors.count
        if reactorsLeft == 0 { kill(server.managerPID, Signals.stop) }
        for reactor in reactors {
            let isAsked = reactor.shutDown(deadline: server.settings.shutdownTimeout) { [unowned self] in
                loop.post { self.reactorDone() }
            }
            if !isAsked { reactorDone() }
        }
    }

    private func reactorDone() {
        reactorsLeft -= 1
        if reactorsLeft == 0 { kill(server.managerPID, Signals.stop) }
    }

    /// Asked twice: nothing is waited for.
    private func stopNow() {
        Log.warning("stopping at once")
        kill(server.managerPID, SIGKILL)  // its workers die with it
    }
}
