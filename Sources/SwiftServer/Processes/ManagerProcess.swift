internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The manager process. It has one thread and does nothing but wait, so that forking from it is always safe.
@safe final class ManagerProcess: ProcessSystem {
    private let context: ServerContext
    private let listeners: Listeners
    /// The channel to the successor that is getting ready.
    private var channel: ControlChannel?

    private var bus: Bus { context.bus }
    private var layout: Layout { context.layout }

    static func run(_ context: ServerContext, _ listeners: Listeners) -> Never {
        let process = ManagerProcess(context, listeners)
        do throws(ServerError) {
            try process.supervise()
        } catch {
            Log.error("the manager cannot start: \(error.message)")
            ProcessEnd.exit(1)
        }
        ProcessEnd.exit(0)
    }

    private init(_ context: ServerContext, _ listeners: Listeners) {
        self.context = context
        self.listeners = listeners
    }

    private func supervise() throws(ServerError) {
        unsafe cre_process_set_title("\(context.configuration.processName): manager")
        Log.begin(role: "manager")
        context.managerPID = getpid()
        let signals = try Signals(Signals.ofSupervisor)
        // Only the master may keep its sockets: the ports must be free as soon as it has ended.
        if context.mode == .process { listeners.closeAll() }
        context.client = try unsafe BusClient(
            node: layout.manager, loop: nil, bus: bus, layout: layout,
            cluster: context.configuration.clusterPlace?.raw)
        context.handlers.managerStart?()
        guard cre_process_threads() == 1 else {
            throw ServerError(
                code: .threadsRunning, message: "onManagerStart has started threads, and the manager must fork")
        }
        var manager = Manager(
            self, layout: layout, mode: context.mode, settings: context.settings, handlers: context.handlers)
        while !manager.step() {
            wait(for: signals, until: manager.nextStep)
            for signal in signals.pending() {
                if signal.number == SIGHUP { Log.reopen() }
                manager.handle(signal.number, signal.limit)
            }
            while let end = ProcessEnd.next() { manager.ended(end) }
        }
        context.handlers.managerStop?()
    }

    /// Waits until a signal arrives or something is due.
    private func wait(for signals: Signals, until due: ContinuousClock.Instant?) {
        let now = now
        var times = due.map { [$0] } ?? []
        if Log.flush() { times.append(now + Log.retryInterval) }
        var timeout: Int32 = -1
        if let next = times.min() { timeout = Int32(clamping: max(0, (next - now).milliseconds)) }
        var descriptor = pollfd(fd: signals.descriptor, events: Int16(POLLIN), revents: 0)
        unsafe poll(&descriptor, 1, timeout)
    }

    // MARK: Processes

    var now: ContinuousClock.Instant { ContinuousClock.now }

    func start(_ id: Int, fromProgram: Bool) throws(ServerError) -> Int32 {
        guard !fromProgram else { return try execute(id) }
        let pid = fork(id)
        guard pid > 0 else { throw .system("cannot start \(layout.name(of: id))", pid) }
        return pid
    }

    func prepare(_ id: Int, fromProgram: Bool) throws(ServerError) -> Int32 {
        let (own, others) = try ControlChannel.pair()
        defer { others.end() }
        let pid: Int32
        do throws(ServerError) {
            pid = try fromProgram ? execute(id, others) : fork(id, (own, others))
            guard pid > 0 else { throw .system("cannot start \(layout.name(of: id))", pid) }
        } catch {
            own.end()
            throw error
        }
        channel = own
        return pid
    }

    /// Forks the process for a seat. Returns its pid or an error. With a channel, of which the first end is the
    /// manager's, it waits for permission to begin.
    private func fork(_ id: Int, _ channel: (ControlChannel, ControlChannel)? = nil) -> Int32 {
        let own = context.mode == .base && layout.role(of: id) == .worker ? listeners.ofWorker(id) : nil
        let pid = cre_process_fork()
        if pid == 0 {
            if context.mode == .base {
                for descriptor in listeners.all.subtracting(own ?? []) { close(descriptor) }
            }
            endChannel()
            channel?.0.end()
            context.client = nil
            WorkerProcess.run(id, context, listeners: own, control: channel?.1)
        }
        return pid
    }

    /// Starts the program for a seat, and returns its pid. With a control channel it waits for permission to begin.
    private func execute(_ id: Int, _ control: ControlChannel? = nil) throws(ServerError) -> Int32 {
        let program = context.program
        var handover = Handover()
        handover.id = id
        handover.control = control?.descriptor ?? -1
        handover.master = context.masterPID
        handover.manager = getpid()
        handover.bus = bus.descriptors
        handover.flags = context.flags.all.map(\.descriptor)
        if context.mode == .base, layout.role(of: id) == .worker { handover.listeners = listeners.sockets }
        handover.ports = context.ports
        handover.shared = SharedInheritance.descriptors
        handover.compatibility = context.configuration.compatibility
        let pid = cre_process_fork()
        if pid == 0 {
            let result = program.execute(handover)
            Log.error("cannot start \(program.path): \(errorText(result))")
            ProcessEnd.exit(127)
        }
        guard pid > 0 else { throw .system("cannot start \(program.path)", pid) }
        return pid
    }

    func report() -> ControlChannel.Report { channel?.report() ?? .nothing }

    func letBegin() { channel?.letBegin() }

    func endChannel() {
        channel?.end()
        channel = nil
    }

    func isStopped(_ pid: Int32) -> Bool { ProcessLine(pid: pid)?.isStopped ?? false }

    func send(_ signal: Int32, to pid: Int32) { kill(pid, signal) }

    func sendStop(to pid: Int32, within limit: Duration) { Signals.sendStop(to: pid, within: limit) }

    // MARK: Shared memory

    func activity(of id: Int) -> Activity { Activity(bus, node: layout.node(of: id)) }

    func pid(of id: Int) -> Int32 { bus.pid(ofNode: layout.node(of: id)) }

    func wake(_ id: Int) { bus.wake(node: layout.node(of: id)) }

    func forget(_ id: Int) { bus.forget(node: layout.node(of: id)) }

    func count(_ event: ProcessEvent, of id: Int?) { bus.count(event, node: id.map(layout.node) ?? layout.manager) }

    var usesProgram: Bool { context.flags.renewed.isRaised }

    func adoptProgram() { context.flags.renewed.raise() }

    // MARK: The rest of the server

    func requestShutdown() { context.flags.shutdown.raise() }

    func log(_ level: LogLevel, _ message: @autoclosure () -> String) { Log.write(level, message) }
}
