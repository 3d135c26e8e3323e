internal import CReactor
internal import CReactorInternal
internal import Glibc

/// A server: one object that listens, starts its processes, and runs your handlers in them.
///
/// Configure it, register handlers, call ``start()``. Handlers run in worker processes, on each worker's main thread,
/// one at a time: they are `@MainActor` closures. Each worker is a separate process: a variable changed by a handler in
/// one worker is not visible in another, unless it is in a ``SharedTable`` or a ``SharedAtomic``.
open class Server: ServerEvents, @unchecked Sendable {
    // `@unchecked`: one thread configures it until `start()`; afterwards only what `start()` sets changes, before the
    // first handler runs. Calls from other threads hop to the loop.

    /// The address as it was configured.
    public let host: String
    /// The port: the configured one, and after the start the one that was bound (for port 0).
    public var port: Int { ports[0].port }
    /// The port of ``Settings/monitoringPort``: the configured one, and after the start the one that was bound.
    public var monitoringPort: Int? { context?.monitoringPort ?? settings.monitoringPort }
    /// The division of work among the server's processes.
    public let mode: ServerMode
    /// Read by ``start()``. Later changes are refused with an error in the log. From the start on it has the effective
    /// values of settings that depend on others, on the mode or on the machine, like ``Settings/reactorCount``.
    public var settings = Settings() {
        didSet { if ports[0].isRefused("settings") { settings = oldValue } }
    }
    /// The cluster that ``WebSocketServer/publish(_:to:except:)-(String,_,_)`` reaches. Later changes are refused like
    /// those of ``settings``. Default: ``Cluster/memory``, this server alone.
    public var cluster = Cluster.memory {
        didSet { if ports[0].isRefused("cluster") { cluster = oldValue } }
    }
    /// Enables TLS on the server's own port; see ``Port/tls``.
    public var tls: TLSConfiguration? {
        get { ports[0].tls }
        set { ports[0].tls = newValue }
    }

    /// The name in `ps`, followed by ": master", ": manager" or ": worker N". Default: the program's name.
    ///
    /// Changes after ``start()`` are refused with an error in the log; ``setProcessTitle(_:)`` renames a process of a
    /// running server.
    public var processName =
        CommandLine.arguments.first.map { String($0.split(separator: "/").last ?? "server") } ?? "server"
    {
        didSet {
            let isLate = ports[0].isRefused("processName", hint: "setProcessTitle(_:) renames a running process")
            if isLate { processName = oldValue }
        }
    }

    /// The number of this process: workers are counted from 0, followed by task workers and custom processes; -1 in the
    /// master and the manager.
    public var workerID: Int { runtime?.id ?? -1 }
    /// Whether this process is a task worker.
    public var isTaskWorker: Bool { runtime?.role == .taskWorker }
    /// The pid of this worker, 0 in the master and the manager. It changes when the worker is replaced.
    public var workerPID: Int32 { workerID < 0 ? 0 : getpid() }
    /// The pid of the master, 0 before the start.
    public var masterPID: Int32 { context?.masterPID ?? 0 }
    /// The pid of the manager, 0 before the start. The master knows it, and so do the manager's children.
    public var managerPID: Int32 { context?.managerPID ?? 0 }

    /// All ports; the first is the server's own.
    public internal(set) var ports: [Port] = []
    /// Options that were set by name and that the settings have no place for.
    var namedOptions = NamedOptions()

    var processHandlers = ProcessHandlers()
    var taskHandlers = TaskHandlers()
    /// The handlers of the server's own port, and of others that have none.
    var handlers: ConnectionHandlers {
        get { ports[0].handlers }
        _modify { yield &ports[0].handlers }
    }

    /// Set by `start()`.
    var context: ServerContext?
    /// This process as one that runs handlers; set once, before the first handler runs.
    var runtime: WorkerRuntime?
    /// The context of ``runtime``.
    var worker: WorkerContext? { pusher?.object }
    /// The worker as each push reads it, while nothing writes it: it is set with ``runtime``, which keeps the worker.
    @safe @exclusivity(unchecked) private(set) var pusher: Uncounted<WorkerContext>?

    /// - Parameters:
    ///   - host: an IPv4 or IPv6 address; "unix:" and a path; or a name, of which ``start()`` looks up one address, an
    ///     IPv4 address if there is any. "0.0.0.0" and "::" are all addresses of the machine.
    ///   - port: 0 lets the system choose.
    ///   - mode: the division of work; see ``ServerMode``.
    public init(host: String = "127.0.0.1", port: Int, mode: ServerMode = .process) {
        self.host = host
        self.mode = mode
        ports = [Port(host: host, port: port, type: mainProtocol, index: 0)]
    }

    /// The protocol of the server's own port.
    var mainProtocol: PortProtocol { .tcp }

    /// Listens, starts the processes, and serves until the server is stopped by SIGTERM, SIGINT or ``shutdown()``.
    ///
    /// It returns in the master after the server has ended; ``serve()`` also exits the program then. Call it once, on
    /// the main thread, before anything that starts threads (an `await`, Dispatch, `Thread`); in ``ServerMode/single``
    /// threads may run, and any thread may call it. Pending work of the main actor runs first. While the server runs,
    /// `@MainActor` code runs on its loop; afterwards on the executor that the main actor had before.
    ///
    /// - Throws: ``ServerError``, before any process was started, when a setting is invalid, a handler is missing, a
    ///   port cannot be bound or other threads are running.
    public func start() throws(ServerError) { try start(under: nil) }

    /// Starts the server, in the process of a test under the conditions of that.
    func start(under conditions: TestConditions?) throws(ServerError) {
        guard context == nil else {
            throw ServerError(code: .alreadyStarted, message: "start() was called before in this process")
        }
        try checkEvents()
        var configuration = configuration()
        configuration.conditions = conditions
        try configuration.check()
        try OptionDraft(self).check()
        let configured = settings
        settings = settings.effective(mode: mode)
        for port in ports { port.isStarted = true }
        defer {
            if context == nil {  // it could not be started, so it may be changed and started again
                for port in ports { port.isStarted = false }
                settings = configured
            }
        }
        let hooks = ServerContext.Hooks(
            isCreated: { [unowned self] in adopt($0) },
            isWorker: { [unowned self] in
                runtime = $0
                pusher = Uncounted($0.context)
            })
        try Startup.run(configuration, hooks)
    }

    /// Calls ``start()`` and exits the program after the server has ended: with exit code 0, or with 1 and the cause on
    /// standard error when it could not start.
    public func serve() -> Never {
        do throws(ServerError) {
            try start()
        } catch {
            Log.error(error.message)
            exit(1)
        }
        exit(0)
    }

    /// The server as it is configured now.
    func configuration() -> ServerConfiguration {
        ServerConfiguration(
            mode: mode, settings: settings, processName: processName,
            ports: ports.map { $0.configuration(ports[0], absolutePaths: settings.daemonize) },
            handlers: processHandlers, tasks: taskHandlers, cluster: cluster)
    }

    /// Whether ``run()`` was cancelled, and how to stop the server then.
    let cancellation = Lock(Cancellation())

    private func adopt(_ context: ServerContext) {
        self.context = context
        cancellation.withLock {
            $0.shutdown = context.flags.shutdown
            if $0.isCancelled { context.flags.shutdown.raise() }
        }
        for (port, number) in zip(ports, context.ports) { port.port = number }
    }

    /// Stops the whole server in order, like SIGTERM to the master. Calling it again has no effect. From any process
    /// and thread; before the start it has no effect.
    public func shutdown() { context?.flags.shutdown.raise() }
}
