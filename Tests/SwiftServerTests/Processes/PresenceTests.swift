import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Members of topics on two servers at one Redis or NATS.
    @Suite(.enabled(if: !BrokerKind.installed.isEmpty)) struct PresenceTests {
        private func run(
            _ mode: ServerMode, _ kind: BrokerKind, timeout: Duration = .seconds(2),
            test: (any BrokerProcess, [ServerProcess], [WebSocketClient]) throws -> Void
        ) throws {
            let broker = try kind.make()
            let configure: (inout Configuration) -> Void = {
                $0.cluster = broker.url
                $0.presenceTimeout = timeout
            }
            let workers = mode == .single ? 1 : 2
            try ServerProcess.run(.presence, mode, workers: workers, configure) { one in
                try ServerProcess.run(.presence, mode, workers: workers, configure) { other in
                    let servers = [one, other]
                    try test(broker, servers, try servers.map { try WebSocketClient(port: $0.port) })
                }
            }
        }

        private func join(_ client: WebSocketClient, _ topic: String, _ member: TopicMember) throws {
            #expect((try client.ask(.join(topic, member)) as PushResult).isAccepted)
        }

        /// Waits until a client sees these members.
        private func wait(_ client: WebSocketClient, _ topic: String, _ members: [TopicMember]) throws {
            try Wait.until("members of \(topic)") {
                let report: PresenceReport = try client.ask(.presence(topic))
                return report.members == members
            }
        }

        private func changes(_ servers: [ServerProcess]) -> (joins: [TopicMember], leaves: [TopicMember]) {
            let joins = servers.flatMap { $0.events(.joined) }.compactMap {
                if case .joined(_, let member) = $0 { member } else { nil as TopicMember? }
            }
            let leaves = servers.flatMap { $0.events(.left) }.compactMap {
                if case .left(_, let member) = $0 { member } else { nil as TopicMember? }
            }
            return (joins, leaves)
        }

        private let ann = TopicMember(id: "ann", info: "Ann")
        private let bob = TopicMember(id: "bob")

        @Test(arguments: BrokerKind.cases(ServerMode.allCases)) func membersOfAllServers(
            _ kind: BrokerKind, _ mode: ServerMode
        ) throws {
            try run(mode, kind) { _, servers, clients in
                try join(clients[0], "room", ann)
                try wait(clients[1], "room", [ann])
                // Another window of Ann's, on another server.
                try join(clients[1], "room", TopicMember(id: "ann", info: "Ann B."))
                let third = try WebSocketClient(port: servers[0].port)
                #expect((try third.ask(.joinDetached("room", bob)) as PushResult).isAccepted)
                try wait(clients[0], "room", [TopicMember(id: "ann", info: "Ann B."), bob])
                #expect(try clients[0].ask(.presenceCount("room")) == 2)
                #expect((try clients[0].ask(.unsubscribe("room")) as PushResult).isAccepted)
                try third.send(.close(1000))
                try wait(clients[0], "room", [TopicMember(id: "ann", info: "Ann B.")])
                try clients[1].send(.close(1000))
                try wait(clients[0], "room", [])
                try Wait.until("each change once") {
                    let (joins, leaves) = changes(servers)
                    return joins == [ann, bob] && Set(leaves.map(\.id)) == ["ann", "bob"] && leaves.count == 2
                }
                #expect(try clients[0].ask(.join("room", TopicMember(id: ""))) == PushResult.invalid)
                #expect(try clients[0].ask(.join("", ann)) == PushResult.invalid)
                let long = String(repeating: "i", count: 1025)
                #expect(try clients[0].ask(.join("room", TopicMember(id: "x", info: long))) == PushResult.invalid)
                let report: PresenceReport = try clients[0].ask(.presence(""))
                #expect(report.error == "\(ClusterError.invalid)")
            }
        }

        /// Processes that were killed lose no members; a server that was killed loses all of them, and one of the
        /// others reports each once.
        @Test(arguments: BrokerKind.installed) func killedProcessesAndServers(_ kind: BrokerKind) throws {
            try run(.process, kind) { broker, servers, clients in
                try join(clients[0], "room", ann)
                try join(clients[1], "room", bob)
                try wait(clients[1], "room", [ann, bob])
                for name in ["gateway", "worker 0", "worker 1"] {
                    servers[0].signal(SIGKILL, to: try servers[0].process(name))
                }
                try wait(clients[1], "room", [ann, bob])
                servers[0].signal(SIGKILL, to: -servers[0].pid)
                try servers[0].waitForEnd()
                try wait(clients[1], "room", [bob])
                try Wait.until("the report") { !servers[1].events(.left).isEmpty }
                broker.kill()
                try Wait.until("the loss of the broker") {
                    let report: PresenceReport = try clients[1].ask(.presence("room"))
                    return report.error == "\(ClusterError.unavailable)"
                }
                try broker.start()
                try wait(clients[1], "room", [bob])
                let (joins, leaves) = changes(servers)
                #expect(leaves == [ann] && Set(joins.map(\.id)) == ["ann", "bob"])
            }
        }

        @Test(arguments: BrokerKind.cases([.process, .single])) func membersLeaveWithAServerThatIsStopped(
            _ kind: BrokerKind, _ mode: ServerMode
        ) throws {
            try run(mode, kind, timeout: .seconds(3600)) { _, servers, clients in
                try join(clients[0], "room", ann)
                try join(clients[1], "room", bob)
                try wait(clients[1], "room", [ann, bob])
                try Wait.until("both servers") { try clients[1].ask(.clusterNodes) == [1, 1] }
                try servers[0].stop()
                try wait(clients[1], "room", [bob])
                try Wait.until("one server") { try clients[1].ask(.clusterNodes) == [1] }
            }
        }

        @Test(arguments: BrokerKind.installed) func theNumbersAreSeen(_ kind: BrokerKind) throws {
            let broker = try kind.make()
            try ServerProcess.run(
                .presence, .process,
                {
                    $0.cluster = broker.url
                    $0.monitoringPort = 0
                }
            ) { server in
                let client = try WebSocketClient(port: server.port)
                try join(client, "room", ann)
                try join(client, "other", ann)
                try wait(client, "room", [ann])
                broker.kill()
                try Wait.until("the loss of \(kind.rawValue)") {
                    let report: PresenceReport = try client.ask(.presence("room"))
                    return report.error == "\(ClusterError.unavailable)"
                }
                try Wait.until("the numbers of the gateway") {
                    let metrics = try ClusterTests().exposition(server)
                    return metrics.sum("swiftserver_cluster_members") == 2
                        && metrics.sum("swiftserver_cluster_questions_open") == 0
                        && metrics.sum("swiftserver_cluster_questions_failed_total") >= 1
                        && metrics.sum("swiftserver_cluster_questions_total") >= 2
                }
            }
        }

        /// Without a cluster.
        @Test(arguments: ServerMode.allCases) func membersOfOneServer(_ mode: ServerMode) throws {
            try ServerProcess.run(.presence, mode, workers: mode == .single ? 1 : 2) { server in
                let clients = try (0..<3).map { _ in try WebSocketClient(port: server.port) }
                try Wait.until("the gateway") {
                    let report: PresenceReport = try clients[0].ask(.presence("room"))
                    return report.error.isEmpty
                }
                try join(clients[0], "room", ann)
                try wait(clients[1], "room", [ann])
                try join(clients[1], "room", TopicMember(id: "ann", info: "Ann B."))
                #expect((try clients[2].ask(.joinDetached("room", bob)) as PushResult).isAccepted)
                var all = [TopicMember(id: "ann", info: "Ann B."), bob]
                try wait(clients[0], "room", all)
                #expect(try clients[0].ask(.presenceCount("room")) == 2)
                try Wait.until("the joins") { changes([server]).joins == [ann, bob] }
                if mode != .single {
                    let gateway = try server.process("gateway")
                    server.signal(SIGKILL, to: gateway)
                    try Wait.until("another gateway") { try server.process("gateway") != gateway }
                    // Any of Ann's two texts holds then, until the next one.
                    try Wait.until("the members") {
                        let report: PresenceReport = try clients[0].ask(.presence("room"))
                        return report.members.map(\.id) == ["ann", "bob"]
                    }
                    all[0] = TopicMember(id: "ann", info: "Ann C.")
                    try join(clients[1], "room", all[0])
                    try wait(clients[0], "room", all)
                }
                if mode == .process {
                    for id in 0..<2 { server.signal(SIGKILL, to: try server.process("worker \(id)")) }
                    try wait(clients[0], "room", all)
                }
                try clients[1].send(.close(1000))
                try clients[2].send(.close(1000))
                try wait(clients[0], "room", [all[0]])
                #expect((try clients[0].ask(.unsubscribe("room")) as PushResult).isAccepted)
                try wait(clients[0], "room", [])
                try Wait.until("each change once") {
                    let (joins, leaves) = changes([server])
                    return joins == [ann, bob] && leaves.map(\.id) == ["bob", "ann"]
                }
            }
        }

        /// The connections of a worker that owns them end with it.
        @Test func membersOfAKilledWorkerLeave() throws {
            try ServerProcess.run(.presence, .base, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                try Wait.until("the gateway") {
                    let report: PresenceReport = try clients[0].ask(.presence("room"))
                    return report.error.isEmpty
                }
                try join(clients[0], "room", ann)
                try join(clients[1], "room", bob)
                try wait(clients[1], "room", [ann, bob])
                server.signal(SIGKILL, to: try server.process("worker 0"))
                try wait(clients[1], "room", [bob])
                try Wait.until("the event") { changes([server]).leaves == [ann] }
            }
        }

        @Test(arguments: ServerMode.allCases) func withoutHandlers(_ mode: ServerMode) throws {
            try ServerProcess.run(.presence, mode, { $0.keepsMembers = true }) { server in
                let client = try WebSocketClient(port: server.port)
                try Wait.until("the gateway") {
                    let report: PresenceReport = try client.ask(.presence("room"))
                    return report.error.isEmpty
                }
                try join(client, "room", ann)
                try wait(client, "room", [ann])
                #expect(try client.ask(.presenceCount("room")) == 1)
                #expect((try client.ask(.unsubscribe("room")) as PushResult).isAccepted)
                try wait(client, "room", [])
            }
        }

        @Test func withoutMembers() throws {
            try ServerProcess.run(.presence, .process, { $0.keepsMembers = false }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.join("room", ann)) == PushResult.unavailable)
                #expect(try client.ask(.joinDetached("room", ann)) == PushResult.unavailable)
                let report: PresenceReport = try client.ask(.presence("room"))
                #expect(report.error == "\(ClusterError.noCluster)")
            }
        }
    }
}
