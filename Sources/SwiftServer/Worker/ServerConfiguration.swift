internal import CReactor
internal import CReactorInternal

/// A server as it was configured: the value that `start()` makes of the user's `Server` object.
struct ServerConfiguration: Sendable {
    let mode: ServerMode
    let settings: Settings
    /// The name of the processes in `ps`.
    let processName: String
    /// All ports; the first is the server's own.
    let ports: [PortConfiguration]
    let handlers: ProcessHandlers
    let tasks: TaskHandlers
    let layout: Layout
    let cluster: Cluster
    /// `nil` without a cluster.
    let clusterPlace: ClusterPlace?
    /// `nil` unless the server runs in the process of a test.
    var conditions: TestConditions?

    /// Whether the server binds its ports.
    var listens: Bool { conditions?.listens ?? true }

    init(
        mode: ServerMode, settings: Settings, processName: String, ports: [PortConfiguration],
        handlers: ProcessHandlers, tasks: TaskHandlers, cluster: Cluster = .memory
    ) {
        self.mode = mode
        self.settings = settings
        self.processName = processName
        self.ports = ports
        self.handlers = handlers
        self.tasks = tasks
        self.cluster = cluster
        let hasMembers = cluster.keepsMembers || handlers.join != nil || handlers.leave != nil
        layout = Layout(
            settings, mode, userProcesses: handlers.processes.map(\.name), hasGateway: cluster.isEnabled || hasMembers,
            hasCluster: cluster.isEnabled)
        clusterPlace = ClusterPlace(cluster, gateway: layout.gateway)
    }

    /// The largest number of mailboxes on the bus.
    private static let mostNodes = 1024

    /// Throws an error that names the first invalid setting or missing handler.
    func check() throws(ServerError) {
        try settings.check(mode: mode)
        try cluster.check()
        guard ports.count <= Int(CRE_MAX_PORTS) else {
            throw .setting("a server has at most \(CRE_MAX_PORTS) ports, got \(ports.count)")
        }
        try checkHandlers()
        guard layout.nodes <= ServerConfiguration.mostNodes else {
            throw .setting(
                """
                reactors, workers, task workers and custom processes must be at most \
                \(ServerConfiguration.mostNodes - 2) together, got \(layout.nodes - 2)
                """)
        }
        guard mode != .single || handlers.processes.isEmpty else {
            throw .setting("custom processes cannot be added in single mode, which has one process")
        }
    }

    func checkHandlers() throws(ServerError) {
        for port in ports { try port.check() }
        let limit: String? =
            settings.maxConcurrentRequests != nil
            ? "maxConcurrentRequests"
            : settings.maxConcurrentRequestsPerWorker != nil ? "maxConcurrentRequestsPerWorker" : nil
        if let limit, !ports.contains(where: { $0.type == .http || $0.type == .webSocket }) {
            throw .setting("\(limit) needs an http or webSocket port, whose requests it limits")
        }
        if settings.taskWorkerCount > 0, tasks.task == nil {
            throw ServerError(code: .missingHandler, message: "task workers need an onTask handler")
        }
    }

    /// The size of the largest packet that a port may deliver to a worker.
    private var largestPacket: Int {
        ports.map { max($0.settings.maxPacket, $0.settings.maxMessage ?? 0, ($0.settings.maxBody ?? 0) + 65_536) }.max()
            ?? 65_536
    }

    /// The configuration of the shared memory.
    var busConfig: cre_bus_config {
        var config = settings.busConfig(nodes: layout.nodes, largestPacket: largestPacket)
        if cluster.isEnabled {
            config.journal_bytes = cre_gateway_journal_bytes(UInt32(cluster.shardCount), UInt32(cluster.maxQueue))
        }
        return config
    }

    /// The configuration of an engine, which borrows its pointers for the life of the process.
    func engineConfig() -> cre_engine_config {
        var config = unsafe settings.engineConfig(servesHTTP: ports[0].servesHTTP)
        let table = UnsafeMutablePointer<cre_port_options>.allocate(capacity: ports.count)
        for (index, port) in ports.enumerated() {
            var options = unsafe port.settings.options(port.type, servesHTTP: port.servesHTTP)
            unsafe options.ask_upgrade = port.decidesHandshakes
            unsafe options.keep_handshake = port.routes?.hasWebSockets ?? false
            unsafe options.deliver_close = port.settings.deliversCloseFrames ?? settings.deliversCloseFrames
            unsafe options.deliver_ping = port.settings.deliversPings ?? settings.deliversPings
            unsafe options.deliver_pong = port.settings.deliversPongs ?? settings.deliversPongs
            unsafe options.stream_bodies = port.settings.streamRequestBodies ?? settings.streamRequestBodies
            unsafe options.max_streamed_body = UInt64(port.settings.maxStreamedBody ?? settings.maxStreamedBody ?? 0)
            unsafe (table + index).initialize(to: options)
        }
        unsafe config.ports = UnsafePointer(table)
        unsafe config.port_count = UInt16(ports.count)
        return unsafe config
    }

    /// Reads the certificates of all ports.
    func readCertificates() throws(ServerError) -> Certificates {
        var entries: [Certificates.Entry] = []
        for port in ports {
            if let entry = try port.readCertificates() { entries.append(entry) }
        }
        return Certificates(entries: entries)
    }

    /// The port of ``Settings/monitoringPort``.
    var monitoringPort: PortConfiguration? {
        guard listens, settings.monitoringPort != nil || settings.monitoringHost.hasPrefix("unix:") else { return nil }
        return PortConfiguration(
            host: settings.monitoringHost, port: settings.monitoringPort ?? 0, type: .http, index: 0,
            settings: PortSettings(), tls: nil, handlers: ConnectionHandlers(), requestFunction: nil, routes: nil)
    }

    /// The port of ``Settings/controlSocket``.
    var controlPort: PortConfiguration? {
        guard listens, let path = settings.controlSocket else { return nil }
        var port = PortSettings()
        port.permissions = settings.controlSocketPermissions
        return PortConfiguration(
            host: "unix:\(path)", port: 0, type: .http, index: 0, settings: port, tls: nil,
            handlers: ConnectionHandlers(), requestFunction: nil, routes: nil)
    }

    /// The log files of middleware, each once.
    var logChannels: [LogChannel] {
        ports.flatMap { $0.routes?.logChannels ?? [] }.reduce(into: []) { found, channel in
            if !found.contains(where: { $0 === channel }) { found.append(channel) }
        }
    }

    /// The parameters that a new program must share with the server whose processes it replaces; all others may differ.
    var compatibility: [String] {
        let parameters =
            [
                "mode \(mode)", "workerCount \(layout.workers)", "reactorCount \(layout.reactors)",
                "taskWorkerCount \(layout.taskWorkers)",
                "processes \(layout.userProcesses.joined(separator: ", "))",
                "maxConnections \(settings.maxConnections)", "ringSize \(settings.ringSize)",
                "largest record \(busConfig.max_payload)",
                "cluster of \(cluster.shardCount) shards, maxQueue \(cluster.isEnabled ? cluster.maxQueue : 0)",
                "gateway \(layout.gateway != nil)",
            ] + ports.map { "port \($0.index): \($0.type) \($0.host)" }
        return parameters.map { String($0.map { $0.isNewline ? " " : $0 }) }  // each is a line of its own
    }
}
