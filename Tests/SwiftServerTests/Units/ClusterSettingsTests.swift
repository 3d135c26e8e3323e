import Testing

@testable import SwiftServer

/// The settings of a cluster.
@Suite struct ClusterSettingsTests {
    private func url(_ text: String) throws -> ClusterURL { try ClusterURL(redis: text) }

    @Test func urls() throws {
        let plain = try url("redis://10.0.0.5")
        #expect(plain.host == "10.0.0.5" && plain.port == 6379 && !plain.isSecure && plain.password == nil)
        let secure = try url("rediss://us%65r:p%40ss%3A@cache.example:7000/")
        #expect(secure.host == "cache.example" && secure.port == 7000 && secure.isSecure)
        #expect(secure.user == "user" && secure.password == "p@ss:")
        #expect(try url("redis://:secret@[::1]:1").host == "::1")
        #expect(try url("redis://:secret@[::1]:1").user == nil)
        #expect(try url("unix:/run/redis.sock").port == 0)
        for bad in [
            "", "http://a", "redis://", "redis://a/1", "redis://a?x", "redis://a:0", "redis://a:70000", "redis://a:b",
            "redis://user@a", "redis://user:@a", "redis://u:%zz@a", "redis://u:%@a", "redis://u:%00@a", "unix:",
            "redis://[::1", "redis://[::1]x", "redis://a b",
        ] {
            #expect(throws: ServerError.self, "\(bad)") { _ = try url(bad) }
        }
    }

    /// Errors are logged, so they have no password.
    @Test func errorsHaveNoPasswords() {
        let error = #expect(throws: ServerError.self) { _ = try url("redis://user:secret@host/1") }
        #expect(error?.message.contains("secret") == false)
    }

    @Test func hostAndPassword() throws {
        var cluster = Cluster.redis(host: "::1", port: 7, user: "a:b", password: "c@d%", tls: ClientTLS())
        let parsed = try cluster.parsedURLs()
        #expect(parsed.count == 1 && parsed[0].host == "::1" && parsed[0].port == 7 && parsed[0].isSecure)
        #expect(parsed[0].user == "a:b" && parsed[0].password == "c@d%")
        try cluster.check()
        cluster.prefix = "a{b"
        #expect(throws: ServerError.self) { try cluster.check() }
    }

    /// Without a server that uses TLS its settings would be ignored.
    @Test func tls() throws {
        func refusal(_ cluster: Cluster) -> String? {
            var cluster = cluster
            cluster.tls = ClientTLS(serverName: "cache")
            do { try cluster.check() } catch { return error.message }
            return nil
        }
        for secure: Cluster in [
            .redis("rediss://a"), .redis("redis://a", "rediss://b"), .redis(host: "a", tls: ClientTLS()),
            .redis(cluster: ["rediss://a"]), .nats("tls://a"),
            .redis(sentinels: ["a"], masters: ["b"], tls: ClientTLS()),
        ] {
            #expect(refusal(secure) == nil)
        }
        for plain: Cluster in [
            .redis("redis://a", "redis://b"), .redis("unix:/a"), .redis(host: "a"), .redis(cluster: ["redis://a"]),
        ] {
            #expect(refusal(plain) == "cluster.tls needs a URL that begins with rediss://")
        }
        #expect(refusal(.nats("nats://a")) == "cluster.tls needs a URL that begins with tls://")
        #expect(
            refusal(.redis(sentinels: ["a"], masters: ["b"]))
                == "cluster.tls needs the argument tls: of .redis(sentinels:masters:)")
    }

    @Test func urlsOfNATS() throws {
        let plain = try ClusterURL(nats: "nats://10.0.0.5")
        #expect(plain.host == "10.0.0.5" && plain.port == 4222 && !plain.isSecure && plain.token == nil)
        let secure = try ClusterURL(nats: "tls://app:p%40ss@nats.example:7000")
        #expect(secure.port == 7000 && secure.isSecure && secure.user == "app" && secure.password == "p@ss")
        let token = try ClusterURL(nats: "nats://T%3A0@a")
        #expect(token.token == "T:0" && token.user == nil && token.password == nil)
        for bad in ["", "redis://a", "nats://", "nats://a/b", "nats://:p@a", "nats://u:@a", "nats://@a", "unix:/a"] {
            #expect(throws: ServerError.self, "\(bad)") { _ = try ClusterURL(nats: bad) }
        }
    }

    @Test func settingsOfNATS() throws {
        let seed = "SUAHNEWDVU2UBO4AHQBAWOXOM3GYRBYSGI2OUDDOOFB4BLOXH72DD3LYWQ"
        func refusal(_ cluster: Cluster, _ change: (inout Cluster) -> Void = { _ in }) -> String? {
            var cluster = cluster
            change(&cluster)
            do { try cluster.check() } catch { return error.message }
            return nil
        }
        #expect(refusal(.nats("nats://a", "nats://b")) == nil)
        #expect(Cluster.nats(["nats://a", "nats://b"]).shardCount == 1)
        #expect(refusal(.nats([]))?.contains("must start with nats://") == true)
        #expect(refusal(.redis([]))?.contains("must start with redis://") == true)
        #expect(refusal(.nats("nats://a", "tls://b"))?.contains("tls://") == true)
        #expect(refusal(.nats("nats://u:p@a", "nats://u:q@b"))?.contains("same user") == true)
        #expect(refusal(.nats("nats://a")) { $0.prefix = "a.b" }?.contains("cluster.prefix") == true)
        #expect(refusal(.nats("nats://a")) { $0.keepsMembers = true } == nil)
        #expect(refusal(.memory) { $0.keepsMembers = true } == nil)
        #expect(refusal(.nats("nats://a")) { $0.replicas = 6 }?.contains("cluster.replicas") == true)
        #expect(refusal(.redis("redis://a")) { $0.replicas = 1 }?.contains("cluster.replicas") == true)
        #expect(refusal(.nats("nats://a", credentials: .nkey(seed: seed))) == nil)
        #expect(refusal(.nats("nats://t@a", credentials: .nkey(seed: seed)))?.contains("besides") == true)
        for credentials: NATSCredentials in [
            .nkey(seed: "S" + seed.dropFirst() + "A"), .nkey(seed: String(seed.reversed())), .text(seed), .token(""),
            .user("secret", password: ""), .file("/nonexistent/secret"),
        ] {
            let cause = try #require(refusal(.nats("nats://a", credentials: credentials)))
            #expect(cause.hasPrefix("cluster.credentials"))
            #expect(!cause.contains(seed.suffix(8)) && !"\(credentials)".contains(seed.suffix(8)))
        }
        let many = refusal(.nats("nats://a")) {
            for count in 1...65 { $0.topics["t\(count)"] = TopicSettings(history: count) }
        }
        #expect(many?.contains("64 different histories") == true)
    }

    @Test func sentinels() throws {
        let servers = try Sentinels(
            addresses: ["10.0.0.1", "a.example:7", "[::1]:8"], masters: ["one"], user: nil, password: nil,
            sentinelUser: nil, sentinelPassword: nil, isSecure: true
        ).servers()
        #expect(servers.map(\.host) == ["10.0.0.1", "a.example", "::1"] && servers.map(\.port) == [26379, 7, 8])
        #expect(servers.map(\.isSecure) == [true, true, true])
        let cluster = Cluster.redis(sentinels: ["a"], masters: ["one", "two"], password: "secret")
        try cluster.check()
        #expect(cluster.isEnabled && cluster.shardCount == 2)
        for bad in [
            Cluster.redis(sentinels: [], masters: ["one"]), .redis(sentinels: ["a"], masters: []),
            .redis(sentinels: ["a"], masters: [""]), .redis(sentinels: ["a:0"], masters: ["one"]),
            .redis(sentinels: [":secret@a"], masters: ["one"]), .redis(sentinels: ["a"], masters: ["one"], user: "u"),
            .redis(sentinels: ["a"], masters: ["one"], sentinelUser: "u"),
            .redis(sentinels: ["a"], masters: [String](repeating: "one", count: 65)),
            .redis(sentinels: [String](repeating: "a", count: 65), masters: ["one"]),
        ] {
            let error = #expect(throws: ServerError.self) { try bad.check() }
            #expect(error?.message.contains("secret") == false)
        }
    }

    @Test func redisClusters() throws {
        let cluster = Cluster.redis(cluster: ["redis://:secret@10.0.0.1:7000", "redis://:secret@10.0.0.2:7000"])
        try cluster.check()
        #expect(cluster.isEnabled && cluster.shardCount == 16 && cluster.broker == .redisCluster)
        #expect(Cluster.redis(cluster: ["redis://a"], shards: 64).shardCount == 64)
        for (bad, cause) in [
            (Cluster.redis(cluster: []), "needs the URL of a node"),
            (.redis(cluster: ["redis://:secret@a/1"]), "must not have a database"),
            (.redis(cluster: ["redis://a"], shards: 0), "1 to 64 nodes and shards"),
            (.redis(cluster: ["redis://a"], shards: 65), "1 to 64 nodes and shards, got 65"),
            (.redis(cluster: [String](repeating: "redis://a", count: 65)), "1 to 64 nodes and shards, got 65"),
            (.redis(cluster: ["redis://a", "rediss://b"]), "all nodes of a Redis Cluster"),
            (.redis(cluster: ["unix:/run/redis.sock"]), "all nodes of a Redis Cluster"),
            (.redis(cluster: ["redis://:secret@a", "redis://b"]), "same user and password"),
        ] {
            let error = #expect(throws: ServerError.self) { try bad.check() }
            #expect(error?.message.contains(cause) == true, "\(error?.message ?? "")")
            #expect(error?.message.contains("secret") == false)
        }
    }

    @Test func theMostSpecificPatternComesFirst() throws {
        var cluster = Cluster.redis("redis://a", "redis://b")
        cluster.topics["*"] = TopicSettings(history: 1)
        cluster.topics["chat:*"] = TopicSettings(history: 2)
        cluster.topics["chat"] = TopicSettings(history: 3)
        cluster.topics["chat:rooms:*"] = TopicSettings(history: 4)
        try cluster.check()
        #expect(cluster.topics.ordered.map(\.settings.history) == [3, 4, 2, 1])
    }

    @Test func invalidSettings() {
        func isRefused(_ change: (inout Cluster) -> Void) -> Bool {
            var cluster = Cluster.redis("redis://a")
            change(&cluster)
            do { try cluster.check() } catch { return true }
            return false
        }
        #expect(!isRefused { _ in })
        #expect(isRefused { $0 = .redis("redis://a", "redis://:other@b") })
        #expect(isRefused { $0.maxQueue = 1 })
        #expect(isRefused { $0.prefix = "" })
        #expect(isRefused { $0.nodeName = String(repeating: "n", count: 256) })
        #expect(isRefused { $0.presenceTimeout = .milliseconds(999) })
        #expect(isRefused { $0.presenceTimeout = .seconds(3601) })
        #expect(isRefused { $0.topics[""] = TopicSettings() })
        #expect(isRefused { $0.topics["$sws:user:*"] = TopicSettings() })
        #expect(isRefused { $0.users = TopicSettings(history: 10_001) })
        #expect(isRefused { $0.topics["a"] = TopicSettings(history: 10_001) })
        #expect(isRefused { $0.topics["a"] = TopicSettings(history: 1, for: .zero) })
        #expect(isRefused { $0.topics["a"] = TopicSettings(history: 1, localFirst: true) })
        #expect(
            isRefused {
                $0 = .memory
                $0.topics["a"] = TopicSettings(history: 1)
            })
        #expect(
            !isRefused {
                $0 = .memory
                $0.topics["a"] = TopicSettings(enveloped: true)
            })
        for change: (inout Cluster) -> Void in [
            { $0.users = TopicSettings(history: 1) }, { $0.prefix = "other" }, { $0.maxQueue = 1 << 20 },
            { $0.topics["a"] = TopicSettings(localFirst: true) }, { $0.nodeName = "n" }, { $0.replicas = 1 },
            { $0.presenceTimeout = .seconds(1) }, { $0.tls.serverName = "x" },
        ] {
            #expect(
                isRefused {
                    $0 = .memory
                    change(&$0)
                })
        }
        #expect(!isRefused { $0 = .memory })
    }
}
