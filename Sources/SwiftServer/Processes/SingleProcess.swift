internal import CReactor
internal import CReactorInternal
internal import Glibc

/// A server in one process (``ServerMode/single``): this one accepts, speaks the protocols and runs the handlers.
enum Alone {
    static func run(_ server: Server) throws(ServerError) {
        guard server.masterPID == 0 else {
            throw ServerError(code: .alreadyStarted, message: "start() was called before in this process")
        }
        guard server.handlers.processes.isEmpty else {
            throw ServerError(
                code: .invalidSetting, message: "processes of your own cannot be added in single mode, which has one")
        }
        for port in server.ports { try port.readCertificates() }
        var launch = try Launch(server)
        defer { launch.end() }
        let listeners = try Listeners(ports: server.ports, mode: .single, settings: server.settings)
        defer { listeners.removeFiles() }
        server.port = server.ports[0].port
        let layout = Layout(server: server)
        let bus = try Bus(server.settings.busConfig(nodes: layout.nodes, largestPacket: server.largestPacket))
        server.bus = bus
        let statistics = StatisticsFile(server.settings)
        try statistics?.begin(server)
        try launch.detach()
        do throws(ServerError) { try live(server, bus, listeners, layout, &launch, statistics) } catch {
            launch.tell(error)
            throw error
        }
    }

    private static func live(
        _ server: Server, _ bus: Bus, _ listeners: Listeners, _ layout: Layout, _ launch: inout Launch,
        _ statistics: StatisticsFile?
    ) throws(ServerError) {
        server.masterPID = getpid()
        Log.setRole("server")
        server.settings.allowDescriptors()
        server.managerPID = getpid()
        let orders = try Orders()
        server.orders = orders
        cre_process_line_buffered()
        signal(SIGPIPE, SIG_IGN)
        let signals = try Signals(Signals.ofWorker)
        defer { cre_signals_close(signals.descriptor) }
        let loop = try EventLoop()
        loop.becomeMainActor()
        let runtime = try WorkerRuntime(
            id: 0, layout: layout, loop: loop, bus: bus, server: server, listeners: listeners.ofWorker(0))
        server.workerID = 0
        server.runtime = runtime
        statistics?.keep(server, runtime.timers)
        loop.watch(signals.descriptor) {
            for signal in signals.pending() { handle(signal, runtime) }
        }
        loop.watch(orders.shutdown.descriptor) {
            if orders.shutdown.take(), !runtime.drain.isDraining { stop(runtime) }
        }
        Log.notice("listening on \(server.host) port \(server.port), all in one process")
        try launch.tellMaster()
        try server.confinement?.enter(node: layout.node(of: 0))
        server.handlers.start?(server)
        server.handlers.managerStart?(server)
        launch.tell(nil)
        Worker.serve(runtime)
        server.handlers.managerStop?(server)
        server.handlers.shutdown?(server)
    }

    private static func handle(_ signal: Int32, _ runtime: WorkerRuntime) {
        switch signal {
        case SIGTERM, SIGINT:
            if runtime.drain.isDraining {
                Log.warning("stopping at once")
                runtime.loop.stop()
            } else {
                stop(runtime)
            }
        case SIGHUP:
            Log.reopen(creates: true)
            runtime.server.reloadCertificates()
        case SIGUSR1, SIGUSR2:
            Log.warning("there is nothing to reload in single mode: the only process cannot be replaced")
        default: Signals.tellUnused(signal, by: "the server")
        }
    }

    private static func stop(_ runtime: WorkerRuntime) {
        runtime.server.handlers.beforeShutdown?(runtime.server)
        runtime.drain.start(.told)
    }
}
