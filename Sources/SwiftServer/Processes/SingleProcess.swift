internal import Glibc
internal import Synchronization

/// A server in one process (``ServerMode/single``), which accepts connections, does the protocol work and runs the
/// handlers.
@safe final class SingleProcess: @unchecked Sendable {
    // `@unchecked`: everything happens on the main thread.
    private static let isRunning = Atomic(false)
    /// The time in which the gateway publishes what was handed to it before the stop.
    private static let gatewayLimit: Duration = .seconds(1)
    private let context: ServerContext
    private let startup: Startup
    private var supervisor: Supervisor?
    private var isStopping = false

    init(_ context: ServerContext, _ startup: Startup) {
        self.context = context
        self.startup = startup
    }

    func run() throws(ServerError) {
        guard !SingleProcess.isRunning.exchange(true, ordering: .acquiring) else {
            throw ServerError(code: .alreadyStarted, message: "another server is running in this process")
        }
        defer { SingleProcess.isRunning.store(false, ordering: .releasing) }
        let (handlers, flags) = (context.handlers, context.flags)
        let signals = try Signals(Signals.ofWorker)
        defer { signals.close() }
        // Other threads may run already, and a signal reaches one that does not block it.
        let watchdog = try Watchdog(
            signals, stop: flags.shutdown, limit: context.settings.stopLimit, takesFromThreads: true)
        defer { watchdog.end() }
        let loop = try EventLoop()
        defer { loop.end() }
        loop.becomeMainActor()
        let runtime = try context.makeWorker(0, loop, listeners: startup.listeners?.ofWorker(0))
        defer { runtime.close() }
        try runtime.open()
        let gateway = try context.layout.gateway.map { _ throws(ServerError) in
            try context.makeGateway(loop, onThread: true)
        }
        defer { gateway?.close(within: SingleProcess.gatewayLimit) }
        let connections = ControlCommands.ConnectionCommands(
            publish: { text, topic in
                let audience = topic.map(Audience.topic) ?? .everyone
                var text = text
                return text.withUTF8 {
                    unsafe runtime.link.publish(audience, .text, UnsafeRawBufferPointer($0), except: nil)
                }
            },
            close: { fd, code, reason in
                var reason = reason
                return reason.withUTF8 {
                    unsafe runtime.link.close(fd, code: code, reason: UnsafeRawBufferPointer($0))
                }
            },
            topics: { [context] filter, done in
                done(runtime.link.topics(filter).map { [context.layout.owners.lowerBound: $0] } ?? [:])
                return true
            })
        let monitoring = try startup.serveMonitoring(context, loop, connections)
        defer { monitoring?.close() }
        let control = try startup.serveControl(context, loop, connections)
        defer { control?.close() }
        Log.retry(on: loop, runtime.timers)
        startup.statistics?.keep(runtime.timers, context.statistics)
        ShortageLog(context.bus).start(runtime.timers)
        loop.watch(watchdog.descriptor) { [self] in
            for signal in watchdog.pending() { handle(signal, runtime, watchdog) }
        }
        loop.watch(flags.shutdown.descriptor) { [self] in
            if flags.shutdown.take(), !isStopping { stop(runtime, watchdog) }
        }
        Log.notice(context.configuration.listens ? ListeningNotice.text(context) : "serving without a port")
        try startup.isListening()
        try context.confinement.enter(node: context.layout.node(of: 0))
        handlers.start?()
        handlers.managerStart?()
        startup.hasStarted()
        supervisor = Supervisor()
        supervisor?.follow(context.monitor, runtime.timers)
        let failure = StartFailure()
        runtime.context.whenStartFailed = { cause in
            failure.cause = cause
            loop.stop()
        }
        WorkerProcess.serve(runtime) { failure.cause != nil }
        handlers.managerStop?()
        handlers.shutdown?()
        if let cause = failure.cause { throw ServerError(code: .handlerFailed, message: cause) }
    }

    /// Why the server could not begin its work, if that is so.
    private final class StartFailure {
        var cause: String?
    }

    private func handle(_ signal: Int32, _ runtime: WorkerRuntime, _ watchdog: Watchdog) {
        switch signal {
        case SIGTERM, SIGINT:
            if isStopping {
                Log.warning("stopping at once")
                runtime.loop.stop()
            } else {
                stop(runtime, watchdog)
            }
        case SIGHUP:
            Log.reopen(creates: true)
            context.certificates.reload()
        case SIGUSR1, SIGUSR2:
            Log.warning("a reload needs a mode with worker processes; in single mode it is ignored")
        default: Signals.logIgnored(signal, by: "the server")
        }
    }

    private func stop(_ runtime: WorkerRuntime, _ watchdog: Watchdog) {
        isStopping = true
        _ = watchdog.begin()
        context.flags.draining.raise()
        supervisor?.stopping()
        let delay = context.settings.drainDelay
        guard delay > .zero else { return endService(runtime, watchdog) }
        Log.notice("stopping in \(delay); until then only probes of readiness fail")
        _ = runtime.timers.start(after: delay, every: nil) { [unowned self] _ in endService(runtime, watchdog) }
    }

    private func endService(_ runtime: WorkerRuntime, _ watchdog: Watchdog) {
        context.flags.stopping.raise()
        let limit = watchdog.begin()
        context.handlers.beforeShutdown?()
        runtime.drain.start(.requested, within: limit)
    }
}
