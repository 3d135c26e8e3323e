internal import CReactor
internal import CReactorInternal

/// A process that runs handlers: puts its parts together, and holds them.
@safe final class WorkerRuntime: @unchecked Sendable {
    // `@unchecked`: everything here is constant; the parts say who may use them.
    let id: Int
    let role: Role
    let configuration: ServerConfiguration
    let context: WorkerContext
    let poster: TaskPoster
    let drain: Drain
    private let router: EventRouter
    private let webSockets: OpenWebSockets?
    /// `nil` without limits of concurrency.
    private let limit: ConcurrencyLimit?
    private let inlet: EventRouter.Inlet

    var loop: EventLoop { context.loop }
    var link: WorkerLink { context.link }
    var timers: Timers { context.timers }
    var name: String { context.name }

    /// The sockets of a process that owns its connections, by port, with what they need.
    struct Sockets {
        let listeners: [Int32]
        let certificates: Certificates
    }

    /// The sockets that this process will serve.
    private let sockets: Sockets?
    /// In a successor whose predecessor still serves: asks for its end, waits for it, and opens this process.
    var takeOver: (() -> Void)?
    /// Whether the application's first code has returned, or waits for something.
    var hasBegun = false

    /// Prepares the process; ``open()`` follows. With `sockets` (base and single mode) it serves them itself.
    init(
        id: Int, configuration: ServerConfiguration, loop: EventLoop, bus: Bus, flags: ControlFlags,
        server: ConnectionInfo.Server, sockets: Sockets?
    ) throws(ServerError) {
        let layout = configuration.layout
        let settings = configuration.settings
        let role = layout.role(of: id)
        let inlet = EventRouter.Inlet()
        let link: WorkerLink
        do throws(ServerError) {
            link = try unsafe WorkerLink(
                id: id, layout: layout, loop: loop, bus: bus, isOwner: sockets != nil,
                cluster: configuration.clusterPlace?.raw,
                callbacks: inlet.callbacks(hasEvents: role == .worker, slowAfter: settings.slowHandlerAfter))
        } catch {
            inlet.free()
            throw error
        }
        let time = configuration.conditions?.time
        let timers = Timers(loop: loop, isManual: time != nil, now: time ?? { .now })
        let pauses = ReadPauses { link.setPaused($0, $1) }
        let runners = HandlerRunners(executor: loop.executor)
        let lanes = HandlerLanes(
            runners: runners, pause: { pauses.pause($0, $1) }, deferEvent: link.deferEvent, drop: link.drop)
        let requests = OpenRequests(link: link, pauses: pauses)
        let isLocal = configuration.mode == .single && settings.taskWorkerCount > 0
        let local = isLocal ? LocalTasks(loop: loop) : nil
        let tasks = TaskRunner(
            link: link, local: local, handlers: configuration.tasks, runners: runners, maxTask: settings.maxTask,
            quota: Quota(role == .taskWorker ? settings.taskQuota : 0))
        poster = TaskPoster(
            link: link, local: local, handlers: configuration.tasks, timers: timers, maxTask: settings.maxTask)
        context = WorkerContext(
            id: id, name: layout.name(of: id), link: link, loop: loop, bus: bus, lanes: lanes, requests: requests,
            timers: timers, server: server, requestTimeout: settings.requestTimeout)
        if role == .worker {
            ConnectionHandlers.serve(context)
            context.monitor = Monitor(bus, flags, configuration, server.ports.map(\.number))
            context.compression = PortEncoders(
                server: settings.compressResponses, ports: configuration.ports.map(\.settings.compressResponses))
        }
        context.counts = OwnerSurvey(owners: layout.owners, timers: timers, most: GatewayQuestions.most)
        if let gateway = layout.gateway {
            context.questions = GatewayQuestions(
                GatewayQuestions.Path(send: link.ask, gateway: { bus.pid(ofNode: gateway) }), timers: timers, loop: loop
            )
        }
        let hasRoutes = role == .worker && configuration.ports.contains { $0.routes?.hasWebSockets ?? false }
        let open =
            !hasRoutes
            ? nil
            : OpenWebSockets(
                context, pauses: pauses, routes: configuration.ports.map(\.webSockets),
                handlers: configuration.ports.map(\.handlers))
        webSockets = open
        let limit = role == .worker ? ConcurrencyLimit(settings, context, node: layout.node(of: id)) : nil
        self.limit = limit
        if let limit { requests.whenAnswered = { if let request = $0 { limit.answered(request) } } }
        drain = WorkerRuntime.makeDrain(context, configuration, flags, tasks, poster, open)
        router = EventRouter(
            worker: context, configuration: configuration, sockets: open, limit: limit, tasks: tasks, poster: poster,
            drain: drain, quota: Quota(role == .worker ? settings.requestQuota : 0))
        self.id = id
        self.role = role
        self.configuration = configuration
        self.inlet = inlet
        self.sockets = sockets

        if let open, configuration.settings.dispatch.isByUser {
            let workers = UInt32(layout.workers)
            context.whenBound = { [weak open] fd, user in if user % workers != UInt32(id) { open?.leave(fd) } }
        }
        inlet.connect(router)
        tasks.whenQuotaReached = { [weak drain] in drain?.start(.quota) }
        local?.begin = { [weak tasks] in tasks?.begin($0, from: id, $1, wantsResult: $2) }
        local?.deliver = { [weak poster] in poster?.receive($0) }
        timers.publishActivity = { link.publish(activity: $0) }
        unsafe loop.executor.display = link.activityDisplay
        ProcessTimers.ofWorker = timers
        requests.isServerStopping = { flags.stopping.isRaised }
        UploadDirectory.set(settings.uploadDirectory)
        TrustedProxies.set(try TrustedProxies(settings))
        // Now, since the process may not have the rights later.
        if let sockets { readCertificates(sockets) }
    }

    /// Opens the link: events arrive and commands leave from here on. A predecessor must have ended.
    func open() throws(ServerError) {
        let result = unsafe link.open(engine: sockets == nil ? nil : configuration.engineConfig())
        guard result == 0 else { throw .system("cannot open \(name)", result) }
        context.open()
        if let limit {
            limit.publish()
        } else {
            context.requests.place = unsafe context.bus.requestsPlace(node: configuration.layout.node(of: id))
        }
        if let sockets { try serve(sockets) }
    }

    private static func makeDrain(
        _ context: WorkerContext, _ configuration: ServerConfiguration, _ flags: ControlFlags, _ tasks: TaskRunner,
        _ poster: TaskPoster, _ sockets: OpenWebSockets?
    ) -> Drain {
        let (link, timers, lanes, requests) = (context.link, context.timers, context.lanes, context.requests)
        return Drain(
            name: context.name, finishesAll: configuration.layout.role(of: context.id).isManaged,
            deadline: configuration.settings.shutdownTimeout, isServerStopping: { flags.stopping.isRaised },
            actions: Drain.Actions(
                begin: { cause in
                    link.beginEnding(cause)
                    requests.endStreams()
                    if !link.ownsSockets { sockets?.leave() }
                },
                post: { context.loop.post($0) },
                after: { delay, run in _ = timers.start(after: delay, every: nil) { _ in run() } },
                notify: { configuration.handlers.workerExit?(context) },
                clearTimers: {
                    let count = timers.clearUsers()
                    if count > 0 { Log.debug("\(context.name) is ending; \(count) timers were cleared") }
                },
                load: {
                    Drain.Load(
                        requests: requests.count, suspendedHandlers: lanes.runners.suspended + (sockets?.count ?? 0),
                        postedTasks: poster.outstanding, isOnTask: tasks.current != nil, timers: timers.holding,
                        hasTimers: timers.hasUsers)
                },
                watch: { step in
                    let limited = requests.whenAnswered
                    requests.whenAnswered = {
                        limited?($0)
                        step()
                    }
                    lanes.runners.whenIdle = step
                    sockets?.whenIdle = step
                    timers.whenFewer = step
                    poster.whenNoneOpen = step
                    tasks.whenEnded = step
                },
                closeConnections: { link.shutDownEngine(deadline: $0, done: $1) },
                isLinkBusy: { !link.endReceiving() },
                stop: { context.loop.stop() }))
    }

    /// Reads the certificates again: the files may have changed since the predecessor of this worker has read them.
    private func readCertificates(_ sockets: Sockets) {
        for entry in sockets.certificates.entries {
            do throws(ServerError) { try entry.context.reload(entry.configuration) } catch {
                Log.error("\(name) keeps using certificates that were read before: \(error.message)")
            }
        }
    }

    private func serve(_ sockets: Sockets) throws(ServerError) {
        for entry in sockets.certificates.entries {
            let result = unsafe link.setTLS(entry.context.raw, port: entry.port)
            guard result == 0 else { throw .system("cannot enable TLS in \(name)", result) }
        }
        for (port, listener) in sockets.listeners.enumerated() {
            let result = link.serve(listener, port: port)
            guard result == 0 else { throw .system("cannot serve port \(port) in \(name)", result) }
        }
    }

    /// Continues the connections that straight-line handlers of a predecessor have served. After the application's
    /// first code has run.
    func resumeWebSockets() {
        guard let webSockets, !link.ownsSockets else { return }
        let node = configuration.layout.node(of: id)
        webSockets.resume(Connections(bus: context.bus).filter { context.bus.worker(of: $0) == node })
    }

    /// Closes the connections of this process and its end of the link. Calling it again has no effect.
    func close() {
        guard !context.hasClosed else { return }
        timers.whenFewer = nil
        drain.end()
        limit?.end()
        context.close()
        ProcessTimers.ofWorker = nil
        timers.clearAll()
        link.close()
        inlet.free()
    }
}
