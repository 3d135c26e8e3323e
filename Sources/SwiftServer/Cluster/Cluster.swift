/// The cluster of a server: whom ``WebSocketServer/publish(_:to:except:)-(String,_,_)`` reaches.
///
/// ```swift
/// server.cluster = .redis("redis://10.0.0.5")
/// server.cluster.topics["chat:*"] = TopicSettings(history: 100, for: .seconds(300))
/// ```
///
/// In a cluster a message that one server publishes to a topic reaches the subscribers of all servers, through Redis,
/// Valkey or NATS, in the same order everywhere. One process of each server, the gateway, is connected with it; the
/// others never wait for it. All servers of a cluster must have the same servers of Redis, in the same order, or the
/// same cluster of NATS, and the same ``prefix`` and ``topics``.
public struct Cluster: Sendable {
    /// What the servers exchange messages through.
    enum Broker: String, Sendable {
        case redis = "Redis"
        case redisCluster = "Redis Cluster"
        case nats = "NATS"
    }

    let broker: Broker
    /// The servers of Redis, one for each shard, or some of a Redis Cluster or a cluster of NATS; empty: there is no
    /// cluster, or `sentinels` know them.
    let urls: [String]
    /// Of a Redis Cluster.
    private let slots: Int
    /// Those that know which servers of Redis are masters.
    let sentinels: Sentinels?
    /// Of NATS; `nil`: those in the URLs.
    let credentials: NATSCredentials?
    /// The TLS of `rediss://` and `tls://` servers. It does not turn TLS on: without such a server,
    /// ``Server/start()`` rejects it.
    public var tls = ClientTLS()
    /// The number of servers of a cluster of NATS that keep each message of a topic with history, 1 to 5. Default: 3 in
    /// a cluster of NATS, 1 otherwise.
    public var replicas: Int?
    /// The settings of topics, by pattern.
    public var topics = TopicPatterns()
    /// The settings of messages for users, ``WebSocketServer/push(_:toUser:except:)-(String,_,_)``.
    public var users = TopicSettings()
    /// The beginning of all keys and channels in Redis, 1 to 32 bytes without braces, or of all subjects and streams in
    /// NATS, 1 to 32 letters, digits, "-" and "_". Servers with different prefixes share a Redis or NATS unnoticed.
    /// Default: "sws".
    public var prefix = "sws"
    /// The maximum size of the messages that wait for a reply of one shard, in bytes; a publication beyond it returns
    /// ``PushResult/unavailable``. From half of it on further ones are refused, so that those on their way have room.
    /// Default: 8 MiB.
    public var maxQueue = 8 << 20

    /// The time after which members of topics leave whose server has crashed, 1 second to 1 hour. All servers of a
    /// cluster must have the same. Default: 60 seconds.
    public var presenceTimeout: Duration = .seconds(60)

    /// Whether topics have members without a cluster. They need one more process (in ``ServerMode/single`` a thread).
    /// An `onJoin` or `onLeave` handler enables them, too. With a cluster topics always have members. Default: false.
    public var keepsMembers = false

    /// The name of this server in ``Server/clusterNodes(timeout:)``, at most 255 bytes; `nil`: that of the host.
    public var nodeName: String?

    /// No cluster: topics reach the subscribers of this server. The default. ``Server/start()`` then rejects all
    /// settings that need a cluster: all but ``keepsMembers`` and ``TopicSettings/isEnveloped``.
    public static let memory = Cluster(.redis, urls: [])

    /// A cluster over one Redis or Valkey, or several independent ones, over which topics are distributed.
    ///
    /// - Parameters:
    ///   - url: "redis://host", "redis://user:password@host:6379", "rediss://" for TLS, or "unix:" and a path. A user
    ///     needs a password, and what is special in a URL is percent-encoded.
    ///   - others: the further shards, with the same user and password.
    public static func redis(_ url: String, _ others: String...) -> Cluster { .redis([url] + others) }

    /// A cluster over one Redis or several shards. An empty array of URLs is an error of ``Server/start()``.
    public static func redis(_ urls: [String]) -> Cluster { Cluster(.redis, urls: urls.isEmpty ? [""] : urls) }

    /// A cluster over a server or a cluster of NATS (2.9 or later), which needs JetStream for topics with a history.
    ///
    /// One of the servers is connected; when it is lost, the next one is, also one that a server has named.
    ///
    /// - Parameters:
    ///   - url: "nats://host", "nats://user:password@host:4222", "nats://token@host", or "tls://" for TLS. What is
    ///     special in a URL is percent-encoded.
    ///   - others: further servers of the same cluster of NATS, with the same user.
    ///   - credentials: who the server is, if the URL does not have it.
    public static func nats(_ url: String, _ others: String..., credentials: NATSCredentials? = nil) -> Cluster {
        .nats([url] + others, credentials: credentials)
    }

    /// A cluster over servers of NATS. An empty array of URLs is an error of ``Server/start()``.
    public static func nats(_ urls: [String], credentials: NATSCredentials? = nil) -> Cluster {
        Cluster(.nats, urls: urls.isEmpty ? [""] : urls, credentials: credentials)
    }

    /// A cluster over one Redis or Valkey.
    ///
    /// - Parameters:
    ///   - host: an address or a host name.
    ///   - port: the port.
    ///   - user: a user of its access control list; `nil`: the default user.
    ///   - password: the password of the user; `nil`: none is needed.
    ///   - tls: how TLS is used; `nil`: it is not.
    public static func redis(
        host: String, port: Int = 6379, user: String? = nil, password: String? = nil, tls: ClientTLS? = nil
    ) -> Cluster {
        let login = ClusterURL.login(user, password)
        let name = host.contains(":") ? "[\(host)]" : host
        var cluster = Cluster(.redis, urls: ["\(tls == nil ? "redis" : "rediss")://\(login)\(name):\(port)"])
        if let tls { cluster.tls = tls }
        return cluster
    }

    /// A cluster over servers of Redis that Redis Sentinel supervises. Before each connection the gateway asks one of
    /// the sentinels for the current master, the next one when that does not answer, and verifies that it is a master.
    ///
    /// - Parameters:
    ///   - sentinels: addresses or host names, as "10.0.0.1" or "sentinel.example:26379".
    ///   - masters: the names of the masters, one for each shard.
    ///   - user: a user of the access control list of the masters; `nil`: the default user.
    ///   - password: the password of the user; `nil`: none is needed.
    ///   - sentinelUser: a user of the sentinels; `nil`: the default user.
    ///   - sentinelPassword: the password of that user; `nil`: none is needed.
    ///   - tls: how TLS is used with masters and sentinels; `nil`: it is not.
    public static func redis(
        sentinels: [String], masters: [String], user: String? = nil, password: String? = nil,
        sentinelUser: String? = nil, sentinelPassword: String? = nil, tls: ClientTLS? = nil
    ) -> Cluster {
        let known = Sentinels(
            addresses: sentinels, masters: masters, user: user, password: password, sentinelUser: sentinelUser,
            sentinelPassword: sentinelPassword, isSecure: tls != nil)
        var cluster = Cluster(.redis, urls: [], sentinels: known)
        if let tls { cluster.tls = tls }
        return cluster
    }

    /// A cluster over a Redis Cluster with sharded publish and subscribe (Redis 7 or later, Valkey).
    ///
    /// Each shard is a slot. The slots of all shards are evenly spaced. The gateway has one connection for each shard:
    /// it asks one of the nodes which node serves the slot, and connects to that node.
    ///
    /// - Parameters:
    ///   - urls: some of the nodes, as for ``redis(_:_:)``, from which the others are learned.
    ///   - shards: the number of parts into which topics are divided, 1 to 64; the same on all servers.
    public static func redis(cluster urls: [String], shards: Int = 16) -> Cluster {
        Cluster(.redisCluster, urls: urls, slots: shards)
    }

    private init(
        _ broker: Broker, urls: [String], slots: Int = 0, sentinels: Sentinels? = nil,
        credentials: NATSCredentials? = nil
    ) {
        (self.broker, self.urls, self.slots) = (broker, urls, slots)
        (self.sentinels, self.credentials) = (sentinels, credentials)
    }

    /// Whether there is a cluster.
    var isEnabled: Bool { !urls.isEmpty || sentinels != nil || broker == .redisCluster }

    /// The most servers of a cluster.
    static let mostServers = 64

    /// The number of independent servers over which topics are distributed.
    var shardCount: Int {
        switch broker {
        case .redis: sentinels?.masters.count ?? urls.count
        case .redisCluster: slots
        case .nats: min(1, urls.count)
        }
    }

    func check() throws(ServerError) {
        guard isEnabled else { return try checkMemory() }
        guard broker != .redisCluster || !urls.isEmpty else {
            throw .setting("cluster: a Redis Cluster needs the URL of a node")
        }
        guard urls.count <= Cluster.mostServers, (1...Cluster.mostServers).contains(shardCount) else {
            let what = broker == .redisCluster ? "nodes and shards" : "servers"
            throw .setting("cluster must have 1 to \(Cluster.mostServers) \(what), got \(max(urls.count, shardCount))")
        }
        try sentinels?.check()
        let parsed = try parsedURLs()
        guard parsed.allSatisfy({ $0.hasLogin(of: parsed[0]) }) else {
            throw .setting("cluster: all servers must have the same user and password")
        }
        guard usesTLS(parsed) || tls == Cluster.memory.tls else {
            let argument = sentinels != nil ? "the argument tls: of .redis(sentinels:masters:)" : nil
            let scheme = broker == .nats ? "tls://" : "rediss://"
            throw .setting("cluster.tls needs \(argument ?? "a URL that begins with \(scheme)")")
        }
        switch broker {
        case .redis: try checkRedis()
        case .redisCluster:
            try checkRedis()
            guard parsed.allSatisfy({ $0.isSecure == parsed[0].isSecure && $0.port > 0 }) else {
                throw .setting("cluster: all nodes of a Redis Cluster must begin with redis://, or all with rediss://")
            }
        case .nats: try checkNATS(parsed)
        }
        guard (65_536...1 << 30).contains(maxQueue) else {
            throw .setting("cluster.maxQueue must be 64 KiB to 1 GiB, got \(maxQueue) bytes")
        }
        guard (nodeName?.utf8.count ?? 0) <= 255, nodeName?.utf8.contains(0) != true else {
            throw .setting("cluster.nodeName must be at most 255 bytes without zero bytes")
        }
        guard presenceTimeout >= .seconds(1), presenceTimeout <= .seconds(3600) else {
            throw .setting("cluster.presenceTimeout must be 1 second to 1 hour, got \(presenceTimeout)")
        }
        try topics.check()
        try users.check("cluster.users")
    }

    private func usesTLS(_ servers: [ClusterURL]) -> Bool {
        sentinels?.isSecure ?? servers.contains(where: \.isSecure)
    }

    /// Without a cluster, settings of one would have no effect.
    private func checkMemory() throws(ServerError) {
        try topics.check()
        let unused: [(String, Bool)] = [
            ("cluster.topics: a history", topics.longestHistory > 0),
            ("cluster.topics: isLocalFirst", topics.ordered.contains { $0.settings.isLocalFirst }),
            ("cluster.users", users != TopicSettings()), ("cluster.prefix", prefix != Cluster.memory.prefix),
            ("cluster.maxQueue", maxQueue != Cluster.memory.maxQueue),
            ("cluster.presenceTimeout", presenceTimeout != Cluster.memory.presenceTimeout),
            ("cluster.nodeName", nodeName != nil), ("cluster.replicas", replicas != nil),
            ("cluster.tls", tls != Cluster.memory.tls),
        ]
        if let setting = unused.first(where: \.1) {
            throw .setting("\(setting.0) needs a cluster, such as .redis(\"redis://127.0.0.1\")")
        }
    }

    private func checkRedis() throws(ServerError) {
        guard (1...32).contains(prefix.utf8.count), !prefix.contains(where: { "{}\0".contains($0) }) else {
            throw .setting("cluster.prefix must be 1 to 32 bytes without braces, got \"\(prefix)\"")
        }
        guard replicas == nil else { throw .setting("cluster.replicas needs NATS") }
    }

    private func checkNATS(_ parsed: [ClusterURL]) throws(ServerError) {
        let allowed = prefix.utf8.allSatisfy {
            switch $0 {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"):
                true
            default: false
            }
        }
        guard (1...32).contains(prefix.utf8.count), allowed else {
            throw .setting(
                "cluster.prefix must be 1 to 32 letters, digits, \"-\" and \"_\" with NATS, got \"\(prefix)\"")
        }
        guard replicas.map((1...5).contains) ?? true else {
            throw .setting("cluster.replicas must be 1...5, got \(replicas!)")
        }
        guard parsed.allSatisfy({ $0.isSecure == parsed[0].isSecure }) else {
            throw .setting("cluster: all servers of NATS must begin with nats://, or all with tls://")
        }
        if let credentials {
            guard parsed[0].user == nil, parsed[0].token == nil else {
                throw .setting("cluster: the URLs must not have a user or a token besides the credentials")
            }
            try credentials.check()
        }
        var histories = Set<TopicSettings>()
        for case var topic in topics.ordered.map(\.settings) + [users] where topic.history > 0 {
            topic.historyAge = .seconds(topic.historyAge.components.seconds)  // the streams know no fractions
            histories.insert(topic)
        }
        guard histories.count <= 64 else {
            throw .setting("cluster.topics may have 64 different histories with NATS, got \(histories.count)")
        }
    }

    func parsedURLs() throws(ServerError) -> [ClusterURL] {
        var all: [ClusterURL] = []
        for url in urls { all.append(try broker == .nats ? ClusterURL(nats: url) : ClusterURL(redis: url)) }
        return all
    }
}
