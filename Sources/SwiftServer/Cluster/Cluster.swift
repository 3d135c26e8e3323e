/// The cluster of a server: whom ``WebSocketServer/publish(_:to:except:)-(String,_,_)`` reaches.
///
/// ```swift
/// server.cluster = .redis("redis://10.0.0.5")
/// server.cluster.topics["chat:*"] = TopicSettings(history: 100, for: .seconds(300))
/// ```
///
/// In a cluster a message that one server publishes to a topic reaches the subscribers of all servers, through Redis or
/// Valkey, in the same order everywhere. One process of each server, the gateway, is connected with Redis; the others
/// never wait for it. All servers of a cluster must have the same servers of Redis, in the same order, and the same
/// ``prefix`` and ``topics``.
public struct Cluster: Sendable {
    /// The servers of Redis, one for each shard; empty: there is no cluster.
    let urls: [String]
    /// The TLS of `rediss:` servers.
    public var tls = ClientTLS()
    /// The settings of topics, by pattern.
    public var topics = TopicPatterns()
    /// The settings of messages for users, ``WebSocketServer/push(_:toUser:except:)-(String,_,_)``.
    public var users = TopicSettings()
    /// The beginning of all keys and channels in Redis, 1 to 32 bytes without braces. Servers with different prefixes
    /// share a Redis without meeting. Default: "sws".
    public var prefix = "sws"
    /// The maximum size of the messages that wait for a reply of one shard, in bytes; a publication beyond it returns
    /// ``PushResult/unavailable``. From half of it on further ones are refused, so that those on their way have room.
    /// Default: 8 MiB.
    public var maxQueue = 8 << 20

    /// The time after which members of topics leave whose server has crashed, 1 second to 1 hour. All servers of a
    /// cluster must have the same. Default: 60 seconds.
    public var presenceTimeout: Duration = .seconds(60)

    /// No cluster: topics reach the subscribers of this server. The default.
    public static let memory = Cluster(urls: [])

    /// A cluster over one Redis or Valkey, or several independent ones, over which topics are distributed.
    ///
    /// - Parameters:
    ///   - url: "redis://host", "redis://user:password@host:6379", "rediss://" for TLS, or "unix:" and a path. A user
    ///     needs a password, and what is special in a URL is percent-encoded.
    ///   - others: the further shards, with the same user and password.
    public static func redis(_ url: String, _ others: String...) -> Cluster { Cluster(urls: [url] + others) }

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
        let login = RedisURL.login(user, password)
        let name = host.contains(":") ? "[\(host)]" : host
        var cluster = Cluster(urls: ["\(tls == nil ? "redis" : "rediss")://\(login)\(name):\(port)"])
        if let tls { cluster.tls = tls }
        return cluster
    }

    private init(urls: [String]) { self.urls = urls }

    /// Whether there is a cluster.
    var isEnabled: Bool { !urls.isEmpty }

    /// The most shards of a cluster.
    static let mostShards = 64

    func check() throws(ServerError) {
        guard isEnabled else {
            try topics.check()
            guard topics.longestHistory == 0 else {
                throw .setting("cluster.topics: a history needs a cluster, such as .redis(\"redis://127.0.0.1\")")
            }
            guard users == TopicSettings() else {
                throw .setting("cluster.users needs a cluster, such as .redis(\"redis://127.0.0.1\")")
            }
            return
        }
        guard urls.count <= Cluster.mostShards else {
            throw .setting("cluster must have at most \(Cluster.mostShards) shards, got \(urls.count)")
        }
        let parsed = try redisURLs()
        guard parsed.allSatisfy({ $0.user == parsed[0].user && $0.password == parsed[0].password }) else {
            throw .setting("cluster: all shards must have the same user and password")
        }
        guard (1...32).contains(prefix.utf8.count), !prefix.contains(where: { "{}\0".contains($0) }) else {
            throw .setting("cluster.prefix must be 1 to 32 bytes without braces, got \"\(prefix)\"")
        }
        guard (65_536...1 << 30).contains(maxQueue) else {
            throw .setting("cluster.maxQueue must be 64 KiB to 1 GiB, got \(maxQueue) bytes")
        }
        guard presenceTimeout >= .seconds(1), presenceTimeout <= .seconds(3600) else {
            throw .setting("cluster.presenceTimeout must be 1 second to 1 hour, got \(presenceTimeout)")
        }
        try topics.check()
        try users.check("cluster.users")
    }

    func redisURLs() throws(ServerError) -> [RedisURL] {
        var all: [RedisURL] = []
        for url in urls { all.append(try RedisURL(url)) }
        return all
    }
}
