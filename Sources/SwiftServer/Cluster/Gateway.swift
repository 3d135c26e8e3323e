internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The connection of this server with its cluster, on the loop of the gateway's process or on a thread of its own.
@safe final class Gateway {
    /// What the gateway reports, on its thread.
    struct Events: Sendable {
        /// A connection was established or lost, with the cause.
        let state: @Sendable (_ shard: Int, _ isConnected: Bool, _ cause: String) -> Void
        /// The broker refuses a part of what is needed, with the cause.
        let refused: @Sendable (_ cause: String) -> Void
        /// Messages of a topic with history are no longer available.
        let lost: @Sendable (_ topic: String) -> Void
        /// The process of a node has written invalid data.
        let protocolError: @Sendable (_ node: Int) -> Void
    }

    private let raw: OpaquePointer
    private let events: Box
    private let hasThread: Bool

    /// The owners of sockets, and the place in the cluster.
    struct Surroundings {
        let bus: Bus
        let owners: Range<Int>
        /// The processes that get changes of the members of topics; empty: none does.
        let listeners: Range<Int>
        let place: ClusterPlace
    }

    /// With a loop the gateway runs there; without one it gets a thread of its own. Without a cluster it keeps members
    /// of topics alone.
    init(_ cluster: Cluster, _ surroundings: Surroundings, loop: EventLoop?, events: Events) throws(ServerError) {
        let known = cluster.sentinels
        let urls = if let known { try known.servers() } else { try cluster.parsedURLs() }
        let memory = unsafe BorrowedText()
        defer { unsafe memory.release() }
        let events = Box(events)
        var broker = unsafe cre_broker_config()
        let serverName = unsafe memory.string(cluster.nodeName ?? Gateway.hostName)
        unsafe broker.size = MemoryLayout<cre_broker_config>.size
        unsafe broker.shards = UInt32(max(1, cluster.shardCount))
        unsafe broker.seed = UInt64.random(in: 1...UInt64.max)
        unsafe broker.prefix = memory.string(cluster.prefix)
        unsafe broker.max_queue = UInt32(cluster.maxQueue)
        unsafe broker.presence_ms = UInt32(clamping: cluster.presenceTimeout.milliseconds)
        if let user = known?.user ?? urls.first?.user { unsafe broker.user = memory.string(user) }
        if let password = known?.password ?? urls.first?.password { unsafe broker.password = memory.string(password) }
        if cluster.broker == .redisCluster { unsafe broker.kind = CRE_BROKER_REDIS_CLUSTER.rawValue }
        if cluster.broker == .nats { unsafe try Gateway.setNATS(&broker, cluster, urls[0], memory) }
        let tls = try urls.contains { $0.isSecure } ? Gateway.context(of: cluster.tls) : nil
        let name = unsafe cluster.tls.serverName.map { unsafe memory.string($0) }
        let servers = unsafe urls.map {
            unsafe cre_cluster_server(
                host: memory.string($0.host), port: UInt16($0.port), secure: $0.isSecure ? 1 : 0, reserved: 0,
                tls_name: name)
        }
        var gateway: OpaquePointer?
        let result = unsafe Gateway.withSentinels(known, servers, memory) { servers, sentinels in
            unsafe withUnsafePointer(to: &broker) { broker in
                var config = unsafe cre_gateway_config()
                unsafe config.bus = surroundings.bus.raw
                unsafe config.place = surroundings.place.raw
                unsafe config.first_owner = UInt16(surroundings.owners.lowerBound)
                unsafe config.owner_count = UInt16(surroundings.owners.count)
                unsafe config.first_worker = UInt16(surroundings.listeners.lowerBound)
                unsafe config.worker_count = UInt16(surroundings.listeners.count)
                unsafe config.broker = broker
                unsafe config.name = serverName
                unsafe config.servers = servers
                unsafe config.server_count = cluster.broker == .redis ? 0 : UInt32(urls.count)
                unsafe config.sentinels = sentinels
                unsafe config.tls = tls?.raw
                unsafe config.context = Unmanaged.passUnretained(events).toOpaque()
                unsafe Gateway.setCallbacks(&config)
                guard let loop else { return unsafe cre_gateway_start(&config, &gateway) }
                return unsafe cre_gateway_create(loop.raw, &config, &gateway)
            }
        }
        guard result == 0, let gateway = unsafe gateway else { throw .system("cannot start the gateway", result) }
        unsafe raw = gateway
        self.events = events
        hasThread = loop == nil
    }

    /// Calls `body` with the servers, or in their place with the sentinels that they are.
    private static func withSentinels(
        _ known: Sentinels?, _ servers: [cre_cluster_server], _ memory: BorrowedText,
        _ body: (UnsafePointer<cre_cluster_server>?, UnsafePointer<cre_cluster_sentinels>?) -> Int32
    ) -> Int32 {
        unsafe servers.withUnsafeBufferPointer { servers in
            guard let known else { return unsafe body(servers.baseAddress, nil) }
            let masters = unsafe known.masters.map { unsafe Optional(memory.string($0)) }
            return unsafe masters.withUnsafeBufferPointer { masters in
                var sentinels = unsafe cre_cluster_sentinels(
                    servers: servers.baseAddress, count: UInt32(servers.count), secure: known.isSecure ? 1 : 0,
                    masters: masters.baseAddress, user: known.sentinelUser.map { unsafe memory.string($0) },
                    password: known.sentinelPassword.map { unsafe memory.string($0) })
                return unsafe body(nil, &sentinels)
            }
        }
    }

    private static func setNATS(
        _ config: inout cre_broker_config, _ cluster: Cluster, _ url: ClusterURL, _ memory: BorrowedText
    ) throws(ServerError) {
        unsafe config.kind = CRE_BROKER_NATS.rawValue
        unsafe config.replicas = UInt32(cluster.replicas ?? 0)
        if let token = url.token { unsafe config.token = memory.string(token) }
        switch cluster.credentials?.kind {
        case nil: break
        case .file, .text: unsafe config.credentials = memory.string(try cluster.credentials!.contents())
        case .nkey(let seed): unsafe config.nkey = memory.string(seed)
        case .token(let token): unsafe config.token = memory.string(token)
        case .user(let name, let password):
            unsafe config.user = memory.string(name)
            unsafe config.password = memory.string(password)
        }
    }

    private static var hostName: String {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: 256) { name in
            guard unsafe gethostname(name.baseAddress!, 255) == 0 else { return "" }
            unsafe name[255] = 0
            return unsafe String(cString: name.baseAddress!)
        }
    }

    private static func context(of tls: ClientTLS) throws(ServerError) -> ClientTLSContext {
        do throws(ClientError) { return try ClientTLSContext(tls) } catch {
            throw ServerError(code: .tls, message: "cluster.tls: \(error.message)")
        }
    }

    private static func setCallbacks(_ config: inout cre_gateway_config) {
        unsafe config.state = { context, shard, isConnected, error, text, length in
            let bytes = unsafe UnsafeBufferPointer(start: text, count: length)
            let reply = unsafe String(decoding: UnsafeRawBufferPointer(bytes), as: UTF8.self)
            let cause = !reply.isEmpty ? reply : error == 0 ? "the connection was closed" : errorText(error)
            unsafe Box.from(context).events.state(Int(shard), isConnected, cause)
        }
        unsafe config.lost = { context, topic, length in
            let bytes = unsafe UnsafeRawBufferPointer(start: topic, count: length)
            unsafe Box.from(context).events.lost(String(decoding: bytes, as: UTF8.self))
        }
        unsafe config.refused = { context, text, length in
            let bytes = unsafe UnsafeRawBufferPointer(start: text, count: length)
            unsafe Box.from(context).events.refused(String(decoding: bytes, as: UTF8.self))
        }
        unsafe config.violation = { context, node in unsafe Box.from(context).events.protocolError(Int(node)) }
    }

    /// Whether the cluster has accepted everything that this server has published.
    var isIdle: Bool { unsafe cre_gateway_is_idle(raw) }

    /// The server ends: its members leave.
    func retire() { unsafe cre_gateway_retire(raw) }

    /// Ends the gateway; one with a thread when it is idle, at the latest after `limit`. The last call.
    func close(within limit: Duration = .zero) {
        guard hasThread else { return unsafe cre_gateway_destroy(raw) }
        unsafe cre_gateway_stop(raw, UInt32(clamping: max(0, limit.milliseconds)))
    }

    private final class Box: Sendable {
        let events: Events
        init(_ events: Events) { self.events = events }

        static func from(_ context: UnsafeMutableRawPointer?) -> Box {
            unsafe Unmanaged<Box>.fromOpaque(context!).takeUnretainedValue()
        }
    }
}
