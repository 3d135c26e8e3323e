import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Two servers at one Redis or NATS.
    @Suite(.enabled(if: !BrokerKind.installed.isEmpty)) struct ClusterTests {
        /// Starts the broker and two servers, and a client of each.
        private func run(
            _ mode: ServerMode, _ kind: BrokerKind,
            test: (any BrokerProcess, [ServerProcess], [WebSocketClient]) throws -> Void
        ) throws {
            let broker = try kind.make()
            let workers = mode == .single ? 1 : 2
            let configure: (inout Configuration) -> Void = { $0.cluster = broker.url }
            try ServerProcess.run(.broadcast, mode, workers: workers, configure) { one in
                try ServerProcess.run(.broadcast, mode, workers: workers, configure) { other in
                    let servers = [one, other]
                    try test(broker, servers, try servers.map { try WebSocketClient(port: $0.port) })
                }
            }
        }

        /// Subscribes, and waits until messages of other servers arrive, too: what a worker publishes behind its
        /// subscription comes back, and Redis serves both in order.
        private func subscribe(_ client: WebSocketClient, _ topic: String) throws {
            #expect(try (client.ask(.subscribe(topic)) as PushResult).isAccepted)
            #expect(try (client.ask(.subscribe("own")) as PushResult).isAccepted)
            let (result, text): (PushResult, String) = try client.askAndReceive(.publish("subscribed", to: "own"))
            #expect(result == .queued && text == "subscribed")
            #expect(try (client.ask(.unsubscribe("own")) as PushResult).isAccepted)
        }

        private func publish(_ text: String, to topic: String, by client: WebSocketClient) throws {
            #expect(try client.ask(.publishToOthers(text, to: topic)) == PushResult.queued)
        }

        @Test(arguments: BrokerKind.cases(ServerMode.allCases)) func messagesReachTheSubscribersOfBoth(
            _ kind: BrokerKind, _ mode: ServerMode
        ) throws {
            try run(mode, kind) { _, _, clients in
                for client in clients { try subscribe(client, "news") }
                let (result, text): (PushResult, String) = try clients[0].askAndReceive(.publish("one", to: "news"))
                #expect(result == .queued && text == "one")
                #expect(try clients[1].receiveText() == "one")
                // All but its sender: a connection of the other server has the same number.
                try publish("two", to: "news", by: clients[0])
                #expect(try clients[1].receiveText() == "two")
                try publish("three", to: "news", by: clients[1])
                #expect(try clients[0].receiveText() == "three")
                // Nobody subscribes any more, on one server.
                #expect(try (clients[1].ask(.unsubscribe("news")) as PushResult).isAccepted)
                try publish("four", to: "news", by: clients[1])
                #expect(try clients[0].receiveText() == "four")
                let large = String(repeating: "large ", count: 100_000)
                try publish(large, to: "news", by: clients[1])
                #expect(try clients[0].receiveText() == large)
                #expect(try clients[1].ask(.publish("nobody", to: "")) == PushResult.invalid)
            }
        }

        @Test(arguments: BrokerKind.cases(ServerMode.allCases)) func usersAndEveryone(
            _ kind: BrokerKind, _ mode: ServerMode
        ) throws {
            try run(mode, kind) { _, servers, clients in
                for client in clients {
                    let bound: String = try client.ask(.bindUser("alice"))
                    #expect(["done", "queued"].contains(bound))
                    try subscribe(client, "news")
                }
                #expect(try clients[0].ask(.pushToUser("one", "alice", exceptSelf: true)) == PushResult.queued)
                #expect(try clients[1].receiveText() == "one")
                #expect(try clients[1].ask(.pushToUser("two", "alice", exceptSelf: true)) == PushResult.queued)
                #expect(try clients[0].receiveText() == "two")
                let all: (PushResult, String) = try clients[0].askAndReceive(.broadcastToCluster("all"))
                #expect(all == (.queued, "all"))
                #expect(try clients[1].receiveText() == "all")
                if mode != .single {
                    // What is pushed meanwhile is not lost.
                    servers[1].signal(SIGKILL, to: try servers[1].process("gateway"))
                    for number in 0..<100 {
                        let command = Command.pushToUser("\(number)", "alice", exceptSelf: true)
                        #expect(try clients[0].ask(command) == PushResult.queued)
                    }
                    for number in 0..<100 { #expect(try clients[1].receiveText() == "\(number)") }
                }
                #expect(
                    try clients[0].ask(.disconnect(user: "alice", 4001, "signed out")) == PushResult.queued)
                #expect(try clients[1].receive() == .close(4001, "signed out"))
                try clients[1].sendClose(4001)
                try servers[1].wait(for: .close(clients[1].fd, 4001, .server, "signed out"))
                _ = try clients[0].who()
            }
        }

        /// The gateways are killed in turn, and once the broker.
        @Test(arguments: BrokerKind.cases(ServerMode.supervised)) func messagesWithHistoryArriveOnceAndInOrder(
            _ kind: BrokerKind, _ mode: ServerMode
        ) throws {
            try run(mode, kind) { broker, servers, clients in
                for client in clients { try subscribe(client, "kept:a") }
                let publisher = try WebSocketClient(port: servers[0].port)
                var number = 0
                func publish(_ count: Int) throws {
                    for _ in 0..<count {
                        try self.publish("\(number)", to: "kept:a", by: publisher)
                        number += 1
                    }
                }
                var received = 0
                func receive() throws {
                    for client in clients {
                        for expected in received..<number { #expect(try client.receiveText() == "\(expected)") }
                    }
                    received = number
                }
                for round in 0..<6 {
                    let victim = servers[round % 2]
                    let gateway = try victim.process("gateway")
                    try publish(100)
                    victim.signal(SIGKILL, to: gateway)
                    if round == 2 { broker.kill() }
                    try publish(100)
                    if round == 2 { try broker.start() }
                    try receive()
                    #expect(try victim.process("gateway") != gateway)
                }
            }
        }

        @Test(arguments: BrokerKind.installed) func aKilledWorkerHarmsNoOtherSubscriber(_ kind: BrokerKind) throws {
            try run(.process, kind) { _, servers, clients in
                for client in clients { try subscribe(client, "kept:b") }
                // Its connections stay with the reactors, and so do their subscriptions.
                for id in 0..<2 {
                    let worker = try servers[1].process("worker \(id)")
                    servers[1].signal(SIGKILL, to: worker)
                    try publish("\(id)", to: "kept:b", by: clients[0])
                    #expect(try clients[1].receiveText() == "\(id)")
                }
            }
        }

        /// The gateway of one server is stopped again and again, then all of its processes. The other server's clients
        /// get everything meanwhile, and its own afterwards.
        @Test(arguments: BrokerKind.installed) func aSlowServerHoldsUpNoOther(_ kind: BrokerKind) throws {
            try run(.process, kind) { _, servers, clients in
                for client in clients { try subscribe(client, "kept:slow") }
                let publisher = try WebSocketClient(port: servers[0].port)
                var number = 0
                func exchange(_ count: Int, whileStopped process: Int32) throws {
                    servers[1].signal(SIGSTOP, to: process)
                    for text in (number..<number + count).map(String.init) {
                        try publish(text, to: "kept:slow", by: publisher)
                        #expect(try clients[0].receiveText() == text)
                    }
                    number += count
                    servers[1].signal(SIGCONT, to: process)
                }
                let gateway = try servers[1].process("gateway")
                for _ in 0..<20 { try exchange(10, whileStopped: gateway) }
                try exchange(200, whileStopped: -servers[1].pid)
                for expected in 0..<number { #expect(try clients[1].receiveText() == "\(expected)") }
            }
        }

        func exposition(_ server: ServerProcess) throws -> Exposition {
            let match = try #require(server.log.firstMatch(of: /monitoring 127\.0\.0\.1 port (\d+)/))
            return try Exposition(Connection(port: #require(Int(match.1))).get("/metrics").body)
        }

        /// What happens when the master is killed, `test_sentinel.c` shows.
        @Test func aSentinelKnowsTheServer() throws {
            let sentinel = try SentinelProcess()
            let configure: (inout Configuration) -> Void = {
                $0.cluster = "mine"
                $0.sentinel = sentinel.address
            }
            try ServerProcess.run(.broadcast, .process, configure) { server in
                let client = try WebSocketClient(port: server.port)
                try subscribe(client, "news")
                #expect(server.log.contains("the cluster is connected with Redis"))
            }
        }

        /// What happens when slots are moved or a node is killed, `test_redis_cluster.c` shows.
        @Test func aRedisCluster() throws {
            let cluster = try RedisClusterProcess()
            let configure: (inout Configuration) -> Void = { $0.cluster = cluster.url }
            try ServerProcess.run(.broadcast, .process, configure) { one in
                try ServerProcess.run(.broadcast, .process, configure) { other in
                    let clients = try [one, other].map { try WebSocketClient(port: $0.port) }
                    for topic in ["live", "kept:a", "kept:b"] {
                        // Topics are in different shards: only its own message shows that one is subscribed.
                        for (index, client) in clients.enumerated() {
                            #expect(try (client.ask(.subscribe(topic)) as PushResult).isAccepted)
                            let (result, text): (PushResult, String) = try client.askAndReceive(
                                .publish(topic, to: topic))
                            #expect(result == .queued && text == topic)
                            for client in clients[..<index] { #expect(try client.receiveText() == topic) }
                        }
                    }
                    for number in 0..<50 { try publish("\(number)", to: "kept:b", by: clients[0]) }
                    for number in 0..<50 { #expect(try clients[1].receiveText() == "\(number)") }
                    try Wait.until("all shards") {
                        one.log.contains("the cluster is connected with all 16 shards of Redis Cluster")
                    }
                }
            }
        }

        /// The log names the cause once for all shards, and not the password.
        @Test func aNodeThatRefusesIsReported() throws {
            let cluster = try RedisClusterProcess()
            let configure: (inout Configuration) -> Void = {
                $0.cluster = cluster.url.replacing(":pw@", with: ":badsecret@")
                $0.monitoringPort = 0
            }
            try ServerProcess.run(.broadcast, .process, configure) { server in
                try Wait.until("some refusals of each shard") {
                    try exposition(server).sum("swiftserver_cluster_failures_total") >= 3 * 16
                }
                #expect(server.log.contains("shards of Redis Cluster: WRONGPASS"))
                #expect(server.log.split(separator: "WRONGPASS").count == 2)
                #expect(!server.log.contains("badsecret"))
            }
        }

        /// The last state that was reported, and whether the server has it.
        private func state(_ server: ServerProcess) -> String? {
            server.events(.clusterState).last.flatMap { if case .clusterState(let state) = $0 { state } else { nil } }
        }

        @Test(arguments: BrokerKind.cases(ServerMode.allCases)) func theStateIsSeen(
            _ kind: BrokerKind, _ mode: ServerMode
        ) throws {
            let broker = try kind.make()
            try ServerProcess.run(
                .broadcast, mode,
                {
                    $0.cluster = broker.url
                    $0.monitoringPort = 0
                }
            ) { server in
                try Wait.until("a connection") { state(server) == "connected true" }
                let client = try WebSocketClient(port: server.port)
                let _: String = try client.ask(.bindUser("alice"))
                try subscribe(client, "news")
                try Wait.until("the counts of the gateway") {
                    let metrics = try exposition(server)
                    #expect(metrics.sum("swiftserver_users") == 1)
                    return metrics.sum("swiftserver_cluster_messages_published_total") == 1
                        && metrics.sum("swiftserver_cluster_messages_received_total") == 1
                        && metrics.sum("swiftserver_cluster_shards_connected") == 1
                }
                broker.kill()
                try Wait.until("the loss") { state(server) == "lost true" }
                #expect(try exposition(server).sum("swiftserver_cluster_shards_connected") == 0)
                try broker.start()
                try Wait.until("another connection") { state(server) == "connected true" }
            }
        }

        /// Topics of the other one of two shards are not concerned, and those of the lost one wait for it.
        @Test(.enabled(if: RedisProcess.isInstalled)) func aLostShardIsPartial() throws {
            let shards = try [RedisProcess(), RedisProcess()]
            let configure: (inout Configuration) -> Void = { $0.cluster = shards.map(\.url).joined(separator: ",") }
            try ServerProcess.run(.broadcast, .process, configure) { server in
                let client = try WebSocketClient(port: server.port)
                let topics = (0..<16).map { "kept:\($0)" }
                for topic in topics {
                    #expect(try (client.ask(.subscribe(topic)) as PushResult).isAccepted)
                    let (result, text): (PushResult, String) = try client.askAndReceive(.publish(topic, to: topic))
                    #expect(result == .queued && text == topic)
                }
                try Wait.until("both shards") { state(server) == "connected true" }
                shards[0].kill()
                try Wait.until("the loss of one") { state(server) == "partial true" }
                let publisher = try WebSocketClient(port: server.port)
                for topic in topics { try publish("still " + topic, to: topic, by: publisher) }
                var received = [try client.receiveText()]
                #expect(state(server) == "partial true")
                try shards[0].start()
                while received.count < topics.count { received.append(try client.receiveText()) }
                #expect(Set(received) == Set(topics.map { "still " + $0 }))
                try Wait.until("both shards again") { state(server) == "connected true" }
            }
        }

        @Test(arguments: BrokerKind.installed) func withoutABrokerMessagesWaitOrAreRefused(_ kind: BrokerKind) throws {
            try run(.process, kind) { broker, servers, clients in
                try subscribe(clients[1], "kept:c")
                try subscribe(clients[0], "first:c")
                broker.kill()
                let (result, text): (PushResult, String) = try clients[0].askAndReceive(.publish("now", to: "first:c"))
                #expect(result == .queued && text == "now")
                let large = String(repeating: "x", count: 65_536)
                var accepted = 0
                try Wait.until("the queue to be full") {
                    let result: PushResult = try clients[0].ask(.publishToOthers(large, to: "kept:c"))
                    if result == .queued { accepted += 1 }
                    return result == .unavailable
                }
                try broker.start()
                for _ in 0..<accepted { #expect(try clients[1].receiveText() == large) }
                try Wait.until("room for messages") {
                    try clients[0].ask(.publishToOthers("more", to: "kept:c")) == PushResult.queued
                }
                #expect(try clients[1].receiveText() == "more")
                #expect(servers[0].log.contains("the cluster is not connected with \(kind.rawValue)"))
            }
        }

        /// The log names the cause, and not the password.
        @Test(.enabled(if: NATSProcess.isInstalled)) func aWrongPasswordIsReported() throws {
            let broker = try NATSProcess(settings: "authorization { user: app, password: right }")
            broker.login = "app:badsecret@"
            try ServerProcess.run(.broadcast, .process, { $0.cluster = broker.url }) { server in
                try Wait.until("the cause") { server.log.contains("Authorization Violation") }
                #expect(server.log.contains("the cluster is not connected with NATS"))
                #expect(!server.log.contains("badsecret"))
            }
        }

        /// A message that NATS does not take is refused with a cause in the log.
        @Test(.enabled(if: NATSProcess.isInstalled)) func whatNATSRefusesIsLogged() throws {
            let broker = try NATSProcess(settings: "max_payload: 1KB")
            try ServerProcess.run(.broadcast, .process, { $0.cluster = broker.url }) { server in
                let client = try WebSocketClient(port: server.port)
                try subscribe(client, "news")
                try publish(String(repeating: "x", count: 2000), to: "news", by: client)
                try Wait.until("the refusal") { server.log.contains("max_payload of 1024 bytes") }
            }
        }
    }
}
