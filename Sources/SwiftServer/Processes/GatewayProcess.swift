internal import CReactorInternal
internal import Glibc

/// The process that is connected with the cluster. Everything in it happens in the C core, on its loop.
enum GatewayProcess {
    private static let idleInterval: Duration = .milliseconds(10)
    /// For a stop without a limit of its own, in order that messages on their way are still published.
    private static let defaultLimit: Duration = .seconds(5)

    static func run(_ id: Int, _ context: ServerContext) -> Never {
        let name = context.layout.name(of: id)
        unsafe cre_process_set_title("\(context.configuration.processName): \(name)")
        Log.begin(role: name)
        do throws(ServerError) {
            let signals = try WorkerSignals(flags: context.flags, certificates: .none, name: name)
            let loop = try EventLoop()
            loop.becomeMainActor()
            let timers = Timers(loop: loop)
            Log.retry(on: loop, timers)
            let gateway = try context.makeGateway(loop, onThread: false)
            try context.confinement.enter(node: context.layout.node(of: id))
            let stopper = Stopper(gateway, loop, timers)
            let flags = context.flags
            signals.watch(loop, timers) { limit in
                stopper.stop(within: limit ?? defaultLimit, serverStops: flags.stopping.isRaised)
            }
            loop.run()
            gateway.close()
        } catch {
            Log.error("\(name) cannot start: \(error.message)")
            ProcessEnd.exit(1)
        }
        ProcessEnd.exit(0)
    }

    /// Ends the process when everything was published, or the time has passed.
    @safe private final class Stopper: @unchecked Sendable {
        // `@unchecked`: used on the loop's thread.
        private let gateway: Gateway
        private let loop: EventLoop
        private let timers: Timers
        private var end: ContinuousClock.Instant?

        init(_ gateway: Gateway, _ loop: EventLoop, _ timers: Timers) {
            self.gateway = gateway
            self.loop = loop
            self.timers = timers
        }

        func stop(within limit: Duration, serverStops: Bool) {
            // Its members stay when a successor takes over.
            if serverStops { gateway.retire() }
            let isFirst = end == nil
            end = ContinuousClock.now + limit
            guard isFirst else { return }
            _ = timers.start(after: .zero, every: GatewayProcess.idleInterval) { [self] _ in
                if gateway.isIdle || ContinuousClock.now >= end! { loop.stop() }
            }
        }
    }
}

extension ServerContext {
    /// Connects with the cluster, on the loop or on a thread. Handlers are called on the loop.
    func makeGateway(_ loop: EventLoop, onThread: Bool) throws(ServerError) -> Gateway {
        guard let place = configuration.clusterPlace else { throw .setting("there is no cluster") }
        let broker = configuration.cluster.broker.rawValue
        let log = GatewayLog(configuration.cluster)
        let notice = ClusterNotice(bus, handlers.clusterState)
        let refusals = LogLimit()
        let events = Gateway.Events(
            state: {
                log.changed($0, isConnected: $1, $2)
                if onThread { loop.post { notice.send() } } else { notice.send() }
            },
            refused: { cause in
                guard let more = refusals.ending() else { return }
                Log.warning("\(broker) refused a request of the gateway: \(cause)\(more)")
            },
            lost: { Log.warning("messages of the topic \"\($0)\" were missed and are no longer available") },
            protocolError: { [layout] in Log.error("\(layout.name(ofNode: $0)) sent a corrupt record to the gateway") })
        return try Gateway(
            configuration.cluster,
            Gateway.Surroundings(
                bus: bus, owners: layout.owners,
                listeners: handlers.join != nil || handlers.leave != nil ? layout.workerNodes : 0..<0, place: place),
            loop: onThread ? nil : loop,
            events: events)
    }
}

/// Reports connections with the broker, and the cause of a lost one once.
private final class GatewayLog: Sendable {
    private struct State {
        /// The causes of lost connections, by shard.
        var causes: [Int: String] = [:]
        var connected: Set<Int> = []
    }

    private let cluster: Cluster
    private let state = Lock(State())

    init(_ cluster: Cluster) { self.cluster = cluster }

    func changed(_ shard: Int, isConnected: Bool, _ cause: String) {
        let (before, after) = state.withLock { state in
            let before = state
            state.causes[shard] = isConnected ? nil : cause
            if isConnected { state.connected.insert(shard) } else { state.connected.remove(shard) }
            return (before, state)
        }
        let broker = cluster.broker.rawValue
        let shards = cluster.shardCount
        if cluster.broker == .redisCluster {
            // Its shards are connected and lost together.
            if after.connected.count == shards {
                Log.notice("the cluster is connected with all \(shards) shards of \(broker)")
            } else if !isConnected, !before.causes.values.contains(cause) {
                let lost = "\(after.causes.count) of \(shards) shards of \(broker)"
                Log.warning("the cluster is not connected with \(lost): \(cause); trying again")
            }
            return
        }
        let server = shards == 1 ? broker : "shard \(shard) of \(broker)"
        if isConnected {
            Log.notice("the cluster is connected with \(server)")
        } else if before.causes[shard] != cause {
            Log.warning("the cluster is not connected with \(server): \(cause); trying again")
        }
    }
}

/// Notifies the application of changes of the state.
@safe private final class ClusterNotice: @unchecked Sendable {
    // `@unchecked`: used on the loop's thread.
    private let bus: Bus
    private let handler: ((ClusterState) -> Void)?
    private var last: ClusterState?

    init(_ bus: Bus, _ handler: ((ClusterState) -> Void)?) {
        self.bus = bus
        self.handler = handler
    }

    func send() {
        let state = ClusterStatistics(bus).state
        guard state != last else { return }
        last = state
        handler?(state)
    }
}
