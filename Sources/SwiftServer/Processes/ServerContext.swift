internal import Glibc

/// A started server, as all of its processes know it: everything that `start()` has created once.
@safe final class ServerContext: @unchecked Sendable {
    // `@unchecked`: the variables are changed by the main thread of a process, before the application's code runs
    // there.
    let configuration: ServerConfiguration
    let bus: Bus
    let flags: ControlFlags
    /// Those of a server without a cluster.
    let values: SharedValues?
    /// The certificates in a process that owns its sockets, or whose children do.
    let certificates: Certificates
    let confinement: Confinement
    /// The program that a reload starts.
    let program: Program
    /// The ports that the sockets are bound to, by the place of the port.
    let ports: [Int]
    /// The port of ``Settings/monitoringPort``, as it is bound; `nil`: there is none.
    let monitoringPort: Int?
    /// The listening sockets and owners, as far as connections refer to them.
    let connectionServer: ConnectionInfo.Server
    let masterPID: Int32
    /// The master, the manager and its children know it.
    var managerPID: Int32 = 0
    /// The mailbox of the master and the manager.
    var client: BusClient?
    private let hooks: Hooks

    /// What the server object has to know of its start.
    struct Hooks {
        /// All is created; processes follow.
        let isCreated: (ServerContext) -> Void
        /// This process runs handlers.
        let isWorker: (WorkerRuntime) -> Void
    }

    init(
        configuration: ServerConfiguration, bus: Bus, flags: ControlFlags, values: SharedValues?,
        certificates: Certificates, confinement: Confinement, program: Program, ports: [Int], monitoringPort: Int?,
        listeners: [[Int32]], masterPID: Int32, managerPID: Int32, hooks: Hooks
    ) {
        self.configuration = configuration
        self.bus = bus
        self.flags = flags
        self.values = values
        self.certificates = certificates
        self.confinement = confinement
        self.program = program
        self.ports = ports
        self.monitoringPort = monitoringPort
        connectionServer = ConnectionInfo.Server(
            ports: zip(configuration.ports, ports).enumerated().map { index, port in
                ConnectionInfo.Server.Port(
                    host: port.0.host, number: port.1, type: port.0.type, isSecure: port.0.tls != nil,
                    descriptors: listeners.indices.contains(index) ? listeners[index] : [])
            }, reactors: configuration.layout.reactors)
        self.masterPID = masterPID
        self.managerPID = managerPID
        self.hooks = hooks
        hooks.isCreated(self)
    }

    var layout: Layout { configuration.layout }
    var mode: ServerMode { configuration.mode }
    var settings: Settings { configuration.settings }
    var handlers: ProcessHandlers { configuration.handlers }

    func statistics() -> ServerStatistics { ServerStatistics(bus, layout) }

    var monitor: Monitor { Monitor(bus, flags, configuration, ports) }

    /// Makes the worker of this process, on its loop. With `listeners` it owns its sockets.
    func makeWorker(_ id: Int, _ loop: EventLoop, listeners: [Int32]?) throws(ServerError) -> WorkerRuntime {
        let runtime = try WorkerRuntime(
            id: id, configuration: configuration, loop: loop, bus: bus, flags: flags, server: connectionServer,
            sockets: listeners.map { WorkerRuntime.Sockets(listeners: $0, certificates: certificates) })
        runtime.context.values = values
        hooks.isWorker(runtime)
        return runtime
    }
}
