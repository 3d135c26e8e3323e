internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The start of a server: one sequence for the master, for a server that is one process, and for a new program that
/// joins a running server. Each step says which of them it is for.
@safe final class Startup {
    private let configuration: ServerConfiguration
    private let hooks: ServerContext.Hooks
    /// What a running server has handed over to this process; `nil` in one that starts a server.
    private let handover: Handover?
    private var pidFile: PIDFile?
    private var report = DaemonReport()
    /// The sockets of all ports. A process that joins a server in process mode has none.
    private(set) var listeners: Listeners?
    private(set) var statistics: StatisticsFile?
    /// The socket of ``Settings/monitoringPort``, of a process that starts a server.
    private(set) var monitoring: Listeners?
    /// The socket of ``Settings/controlSocket``, of a process that starts a server.
    private var control: Listeners?

    /// Starts a server, or joins one, and returns when it has ended.
    static func run(_ configuration: ServerConfiguration, _ hooks: ServerContext.Hooks) throws(ServerError) {
        guard !Handover.isUnreadable else {
            throw .setting(
                """
                the new program uses an incompatible version of SwiftServer and cannot read the handover of the \
                running server
                """)
        }
        EventLoop.runPendingWork()
        let startup = Startup(configuration, hooks, Handover.received)
        if let handover = startup.handover { try Successor.run(handover, startup) }
        guard !RunningServer.exists else {
            throw ServerError(code: .alreadyStarted, message: "another server is running in this process")
        }
        let isForking = configuration.mode != .single
        try ProcessTimers.checkStart()
        defer {
            startup.end()
            if isForking { RunningServer.exists = false }
        }
        do throws(ServerError) {
            let context = try startup.prepare()
            if isForking { try Master(context, startup).run() } else { try SingleProcess(context, startup).run() }
        } catch {
            startup.report.report(error)
            throw error
        }
    }

    private init(_ configuration: ServerConfiguration, _ hooks: ServerContext.Hooks, _ handover: Handover?) {
        self.configuration = configuration
        self.hooks = hooks
        self.handover = handover
    }

    // MARK: The sequence

    func prepare() throws(ServerError) -> ServerContext {
        let (mode, settings) = (configuration.mode, configuration.settings)
        if let handover {
            try checkCompatibility(handover)
            Log.setRole(configuration.layout.name(of: handover.id))
        } else if mode != .single {
            try checkThreads()
        }
        let certificates = try readCertificates()
        let values = try configuration.cluster.isEnabled ? nil : sharedValues()
        if mode != .single { RunningServer.exists = true }

        let confinement = try Confinement(settings, mode)
        let log = try settings.logFile.map { path throws(ServerError) in
            try LogFile(path, owner: confinement.owner, takesOutput: settings.daemonize)
        }
        let channels = configuration.logChannels
        for channel in channels { try channel.open(owner: confinement.owner) }
        Log.open(settings.logLevel, settings.logFormat, log, channels)
        if handover == nil { pidFile = try settings.pidFile.map(PIDFile.init) }

        try openSockets()
        let bus: Bus
        let flags: ControlFlags
        if let handover {
            bus = try Bus(attaching: handover.bus, configuration.busConfig)
            flags = ControlFlags(handover.flags)
        } else {
            bus = try Bus(configuration.busConfig)
            flags = try ControlFlags()
        }
        Log.follow { bus.logLevel }
        let program = Program(path: settings.program)
        statistics = handover == nil ? StatisticsFile(settings) : nil
        try statistics?.begin(ServerStatistics(bus, configuration.layout))

        signal(SIGPIPE, SIG_IGN)  // the reader of the log may exit
        if handover == nil, settings.daemonize { try report.detach(log: log) }
        if handover == nil {
            Log.setRole(mode == .single ? "server" : "master")
            settings.allowDescriptors()
        }
        if mode != .single {
            _ = CommandLine.arguments  // copied by the runtime before the title overwrites the originals
            cre_process_set_title(nil)
        }
        cre_process_line_buffered()
        return ServerContext(
            configuration: configuration, bus: bus, flags: flags, values: values, certificates: certificates,
            confinement: confinement, program: program,
            ports: handover?.ports ?? listeners?.ports ?? [], monitoringPort: monitoring?.ports[0],
            listeners: listeners?.sockets ?? [],
            masterPID: handover?.master ?? getpid(),
            managerPID: handover?.manager ?? (mode == .single ? getpid() : 0), hooks: hooks)
    }

    /// A fork copies one thread only. A lock that another thread holds would stay locked in the child for ever.
    private func checkThreads() throws(ServerError) {
        let threads = cre_process_threads()
        guard threads != 1 else { return }
        let obstacle =
            threads > 1
            ? "\(threads) threads run already" : "threads have run, and without /proc nobody knows whether they do"
        throw ServerError(
            code: .threadsRunning,
            message: """
                cannot fork: \(obstacle). Call start() before anything that starts threads (Task, an \
                await in an async main, DispatchQueue, Thread, URLSession, WebSocketClient, a client that looks up a \
                host name), or use ServerMode.single, which does not fork
                """)
    }

    /// Before the server runs, as all shared memory.
    private func sharedValues() throws(ServerError) -> SharedValues {
        do throws(SharedMemoryError) { return try SharedValues() } catch {
            throw ServerError(code: .system, message: error.message)
        }
    }

    private func checkCompatibility(_ handover: Handover) throws(ServerError) {
        let (own, others) = (configuration.compatibility, handover.compatibility)
        guard own != others else { return }
        let differences = zip(own, others).filter { $0 != $1 }.map { "\"\($0)\" instead of \"\($1)\"" }
        throw .setting(
            """
            the new program has \(differences.first ?? "another number of ports"), which only a restart of the server \
            can change
            """)
    }

    /// Reads the certificates for the processes that own sockets. In process mode this is only a check: the master
    /// reads them again after the fork, so that processes that run handlers have no keys.
    private func readCertificates() throws(ServerError) -> Certificates {
        if let handover, !ownsSockets(handover) { return .none }
        let certificates = try configuration.readCertificates()
        return configuration.mode == .process ? .none : certificates
    }

    /// Whether the process of a handover owns its sockets.
    func ownsSockets(_ handover: Handover) -> Bool {
        configuration.mode == .base && configuration.layout.role(of: handover.id) == .worker
    }

    private func openSockets() throws(ServerError) {
        guard configuration.listens else {
            listeners = Listeners(inherited: [], ports: configuration.ports.map { _ in 0 })
            return
        }
        guard let handover else {
            var passed = try PassedSockets.receive()
            listeners = try Listeners(configuration.ports, configuration.mode, configuration.settings, &passed)
            if let port = configuration.monitoringPort {
                monitoring = try Listeners([port], .single, configuration.settings, &passed)
            }
            if let port = configuration.controlPort {
                // A socket that was passed could have a file that others may write to.
                var none = PassedSockets()
                control = try Listeners([port], .single, configuration.settings, &none)
            }
            if let unused = passed.unused { Log.warning(unused) }
            return
        }
        guard ownsSockets(handover) else { return }
        listeners = Listeners(inherited: handover.listeners, ports: handover.ports)
        listeners?.closeAll(except: handover.id)
    }

    // MARK: What follows

    /// Descriptors that children must close.
    var descriptors: [Int32] {
        [pidFile?.descriptor, report.descriptor, monitoring?.sockets[0][0], control?.sockets[0][0]].compactMap { $0 }
    }

    /// The server listens.
    func isListening() throws(ServerError) { try pidFile?.write() }

    /// Answers requests on ``Settings/monitoringPort`` from now on, if that is set. The caller closes the result before
    /// the loop ends.
    func serveMonitoring(
        _ context: ServerContext, _ loop: EventLoop, _ connections: ControlCommands.ConnectionCommands
    ) throws(ServerError) -> AnsweringPort? {
        guard let socket = monitoring?.sockets[0][0] else { return nil }
        let monitor = context.monitor
        let commands = commands(context, source: "the dashboard", connections)
        let dashboard = Dashboard(
            commands, name: context.configuration.processName, token: context.settings.monitoringToken,
            Dashboard.Processes(
                manager: { [unowned context] in context.mode == .single ? nil : context.managerPID },
                stop: { [unowned context] pid, isForced in
                    // The pid is read from memory that workers can write: it must be a child of the manager.
                    guard cre_process_parent(pid) == context.managerPID else { return false }
                    return kill(pid, isForced ? SIGKILL : SIGTERM) == 0
                }))
        return try AnsweringPort(loop, socket, setting: "monitoringPort") { request, send in
            send(dashboard.answer(to: request) ?? monitor.answer(to: request))
        }
    }

    /// Answers requests on ``Settings/controlSocket`` from now on, if that is set. The caller closes the result before
    /// the loop ends.
    func serveControl(
        _ context: ServerContext, _ loop: EventLoop, _ connections: ControlCommands.ConnectionCommands
    ) throws(ServerError) -> AnsweringPort? {
        guard let socket = control?.sockets[0][0] else { return nil }
        let commands = commands(context, source: "the control socket", connections)
        return try AnsweringPort(loop, socket, setting: "controlSocket", maxBody: ControlCommands.maxBody) {
            commands.answer($0, $1)
        }
    }

    private func commands(
        _ context: ServerContext, source: String, _ connections: ControlCommands.ConnectionCommands
    ) -> ControlCommands {
        let ports = zip(context.configuration.ports, context.ports).map { port, number in
            ControlCommands.Port(
                address: port.isLocal ? port.host : "\(port.host):\(number)", type: port.type,
                isSecure: port.tls != nil, index: port.index)
        }
        return ControlCommands(
            context.monitor, context.connectionServer, ports, pid: context.masterPID,
            logLevel: context.settings.logLevel, source: source, connections)
    }

    /// The start has succeeded.
    func hasStarted() { report.report(nil) }

    private func end() {
        listeners?.removeFiles()
        monitoring?.removeFiles()
        control?.removeFiles()
        pidFile?.remove()
        Log.close()
    }
}
