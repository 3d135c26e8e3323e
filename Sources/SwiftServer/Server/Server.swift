internal import CReactor
internal import CReactorInternal
internal import Glibc

/// A server: one object that listens, starts its processes, and runs your handlers in them.
///
/// Configure it, register handlers, call ``start()``. Handlers run in worker processes, on each worker's main thread,
/// one at a time: they are `@MainActor` closures. Variables are not shared: what a handler changes in one worker, another
/// worker does not see, unless it is in a ``SharedTable`` or a ``SharedAtomic``.
open class Server: ServerEvents, @unchecked Sendable {
    // `@unchecked`: until `start()` one thread configures it; afterwards nothing of it changes but `runtime`, which is
    // set once, before the first handler runs. Calls from other threads hop to the loop.

    /// The address that was asked for.
    public let host: String
    /// The port: the one that was asked for, and after the start the one that it is (for port 0).
    public internal(set) var port: Int
    /// Who owns the sockets.
    public let mode: ServerMode
    /// Read by ``start()``; later changes have no effect.
    public var settings = Settings()
    /// Has the server's own port speak TLS; see ``Port/tls``.
    public var tls: TLSConfiguration? {
        get { ports[0].tls }
        set { ports[0].tls = newValue }
    }

    /// What `ps` shows before ": master", ": manager", ": worker N". Default: the program's name.
    public var processName =
        CommandLine.arguments.first.map { String($0.split(separator: "/").last ?? "server") } ?? "server"

    /// The number of this process: workers are counted from 0, task workers follow them, and then the user's processes; -1
    /// in the master and the manager.
    public internal(set) var workerID = -1
    /// Whether this process is a task worker.
    public var isTaskWorker: Bool { runtime?.role == .taskWorker }
    /// The pid of this worker, 0 in the master and the manager. Another after each restart of the worker.
    public var workerPID: Int32 { workerID < 0 ? 0 : getpid() }
    /// The pid of the master, 0 before the start.
    public internal(set) var masterPID: Int32 = 0
    /// The pid of the manager, 0 before the start. The master knows it; workers are its children.
    public internal(set) var managerPID: Int32 = 0

    /// All ports; the first is the server's own.
    public internal(set) var ports: [Port] = []

    var handlers = Handlers()
    var bus: Bus?
    var orders: Orders?
    var program: Program?
    var confinement: Confinement?
    // Each push reads it, and nobody else has it at that moment: it is written once, before the first handler runs.
    @safe @exclusivity(unchecked) var runtime: WorkerRuntime?
    var sender: Sender?

    /// Reads the certificates anew, if there are any here.
    func reloadCertificates() {
        for port in ports {
            if let tls = port.tls, let context = port.tlsContext { context.reloadAndTell(tls, port.name) }
        }
    }

    /// - Parameters:
    ///   - host: an IPv4 or IPv6 address, not a name; "0.0.0.0" and "::" are all of the machine.
    ///   - port: 0 lets the system choose.
    ///   - mode: who owns the sockets; see ``ServerMode``.
    public init(host: String = "127.0.0.1", port: Int, mode: ServerMode = .process) {
        self.host = host
        self.port = port
        self.mode = mode
        ports = [Port(host: host, port: port, type: mainProtocol, index: 0)]
    }

    /// What is spoken on the server's own port.
    var mainProtocol: PortProtocol { .tcp }

    /// Listens, starts the processes, and serves until the server is stopped by SIGTERM, SIGINT or ``shutdown()``.
    ///
    /// It returns in the master when all is over; ``serve()`` also ends the program then. Call it before anything that starts threads (tasks, Dispatch,
    /// `Thread`), on the main thread, once.
    ///
    /// - Throws: ``ServerError``, before any process was started, when a setting makes no sense, a handler is missing,
    ///   the port cannot be bound or threads run already.
    public func start() throws(ServerError) {
        try settings.check(mode: mode)
        guard ports.count <= Int(CRE_MAX_PORTS) else {
            throw ServerError(
                code: .invalidSetting, message: "a server has at most \(CRE_MAX_PORTS) ports, not \(ports.count)")
        }
        try checkHandlers()
        let nodes = Layout(server: self).nodes
        guard nodes <= 1024 else {
            throw ServerError(
                code: .invalidSetting,
                message:
                    "reactors, workers, task workers and your own processes are \(nodes - 2) together; at most 1022 can be"
            )
        }
        guard !Handover.isUnreadable else {
            throw ServerError(
                code: .invalidSetting,
                message:
                    "the new program has another version of SwiftServer and cannot read what the running server hands over"
            )
        }
        if let handover = Handover.received { try Successor.run(self, handover) }
        if mode == .single { try Alone.run(self) } else { try Master(server: self).run() }
    }

    /// ``start()`` for programs that do nothing else: ends the program when the server was stopped, with exit code 0, or
    /// with 1 and the cause on standard error when it could not start.
    public func serve() -> Never {
        do throws(ServerError) {
            try start()
        } catch {
            Log.error(error.message)
            exit(1)
        }
        exit(0)
    }

    /// What no port can do without.
    func checkHandlers() throws(ServerError) {
        for port in ports { try port.check(handlers(of: port)) }
        if settings.taskWorkerCount > 0, handlers.task == nil {
            throw ServerError(code: .missingHandler, message: "task workers need onTask, and there is none")
        }
    }

    /// The handlers of a port: those of its own, and for other events the server's.
    func handlers(of port: Port) -> Handlers {
        port.index == 0 ? handlers : port.handlers.orElse(handlers)
    }

    /// Stops the whole server, as SIGTERM to the master does, and like it in order: calling it again changes nothing.
    /// From any process and thread; before the start it has no effect.
    public func shutdown() { orders?.shutdown.raise() }

    // MARK: Processes

    /// Ends a worker, task worker or process of yours in an orderly way; it is replaced. `nil`: this one. From every process.
    ///
    /// - Returns: false when there is no such process now.
    @discardableResult
    public func stop(worker id: Int? = nil) -> Bool {
        if let runtime, id == nil || id == workerID {
            runtime.loop.post { runtime.drain.start(.asked) }
            return true
        }
        guard let id, let pid = workerPID(of: id) else { return false }
        // The pid comes from memory that workers can write, and the master may be root: it must be a child of the manager.
        if runtime == nil, cre_process_parent(pid) != managerPID { return false }
        return kill(pid, SIGTERM) == 0
    }

    /// Replaces all workers, or only the task workers, as SIGUSR1 and SIGUSR2 to the master do: one after the other, each
    /// when it is done with what it had begun. A reload that is under way is not begun again. From any process and thread.
    public func reload(onlyTaskWorkers: Bool = false) {
        if let orders { (onlyTaskWorkers ? orders.reloadTaskWorkers : orders.reload).raise() }
    }

    /// The pid of a worker, task worker or process of yours, by its number; `nil` while there is none. From every process.
    public func workerPID(of id: Int) -> Int32? {
        let layout = Layout(server: self)
        guard let bus, (0..<layout.processes).contains(id) else { return nil }
        let pid = bus.pid(ofNode: layout.node(of: id))
        return pid > 0 ? pid : nil
    }

    /// The number of a process that was added by this name.
    public func workerID(ofProcess name: String) -> Int? {
        let layout = Layout(server: self)
        return layout.userProcesses.firstIndex(of: name).map { layout.workers + layout.taskWorkers + $0 }
    }

    /// What a worker, task worker or process of yours is at; `nil` while there is none. From every process.
    public func workerStatus(of id: Int) -> WorkerStatus? {
        guard workerPID(of: id) != nil, let bus else { return nil }
        let activity = Activity(bus, node: Layout(server: self).node(of: id))
        if activity.ending != nil { return .ending }
        return activity.isRunning ? .busy : .idle
    }

    // MARK: Connections

    /// All connections of the server, from every process and in every mode.
    public var connections: Connections { Connections(bus: bus) }

    /// Whether the connection is there; see ``WebSocketServer/isEstablished(_:)`` for open WebSockets.
    public func exists(_ fd: ConnectionID) -> Bool { connections.contains(fd) }

    /// Closes a connection after all that was sent to it is out: a WebSocket by its closing handshake. `onClose`
    /// follows.
    ///
    /// - Parameters:
    ///   - fd: the connection.
    ///   - code: 1000, or another code that may be sent: 1001-1003, 1007-1014, 3000-4999.
    ///   - reason: at most 123 bytes are sent.
    /// - Returns: false when there is no such connection, the code may not be sent, or this is not a worker.
    @discardableResult
    public func close(_ fd: ConnectionID, code: UInt16 = 1000, reason: String = "") -> Bool {
        guard let runtime else { return false }
        var reason = reason
        if runtime.isHere {
            return reason.withUTF8 { unsafe runtime.close(fd, code: code, reason: UnsafeRawBufferPointer($0)) }
        }
        guard exists(fd) else { return false }
        let copy = [UInt8](reason.utf8)
        runtime.loop.post { unsafe copy.withUnsafeBytes { _ = unsafe runtime.close(fd, code: code, reason: $0) } }
        return true
    }
}
