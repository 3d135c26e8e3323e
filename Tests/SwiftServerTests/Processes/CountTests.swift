import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Numbers of connections that are subscribed to topics or belong to users.
    @Suite struct CountTests {
        private func count(_ client: WebSocketClient, _ command: Command) throws -> CountReport {
            try client.ask(command)
        }

        private func expect(
            _ expected: Int, _ command: Command, _ clients: [WebSocketClient],
            at location: SourceLocation = #_sourceLocation
        ) throws {
            for client in clients {
                #expect(try count(client, command) == CountReport(count: expected), sourceLocation: location)
            }
        }

        private func bind(_ client: WebSocketClient, _ command: Command) throws {
            let result: String = try client.ask(command)
            #expect(["done", "queued"].contains(result))
        }

        /// Subscriptions, users and names of the clients of one server or several.
        private func check(_ clients: [WebSocketClient]) throws {
            for (number, client) in clients.enumerated() {
                // What a worker has commanded is counted in its next question.
                try expect(number + 1, .subscribeAndCount("news"), [client])
            }
            try expect(clients.count, .subscriberCount(of: "news"), clients)
            try expect(clients.count, .countDetached("news"), clients)
            for client in clients.dropFirst() { try bind(client, .bindUser("alice")) }
            try bind(clients[0], .bind(42))
            try expect(clients.count - 1, .userConnectionCount("alice"), clients)
            try expect(1, .userConnectionCount("42"), clients)
            try expect(0, .userConnectionCount("bob"), clients)
            try expect(0, .subscriberCount(of: "alice"), clients)
            #expect((try clients[0].ask(.unsubscribe("news")) as PushResult).isAccepted)
            try expect(clients.count - 1, .subscriberCount(of: "news"), clients)
            try clients.last!.send(.close(1000))
            try Wait.until("the end of a connection") {
                try count(clients[0], .userConnectionCount("alice")) == CountReport(count: clients.count - 2)
            }
            try expect(clients.count - 2, .subscriberCount(of: "news"), Array(clients.dropLast()))
            let invalid = CountReport(error: "\(ClusterError.invalid)")
            for topic in ["", String(repeating: "x", count: 256), "$sws:user:alice"] {
                #expect(try count(clients[0], .subscriberCount(of: topic)) == invalid)
            }
            for user in ["", String(repeating: "x", count: 246)] {
                #expect(try count(clients[0], .userConnectionCount(user)) == invalid)
            }
        }

        // MARK: One server

        @Test(arguments: ServerMode.allCases) func connectionsOfOneServer(_ mode: ServerMode) throws {
            // Without a gateway.
            try ServerProcess.run(.presence, mode, workers: mode == .single ? 1 : 2, { $0.keepsMembers = false }) {
                server in
                let count = 3
                try check(
                    mode == .single
                        ? try (0..<count).map { _ in try WebSocketClient(port: server.port) }
                        : try WebSocketClient.ofEveryWorker(2, port: server.port)
                            + [try WebSocketClient(port: server.port)])
            }
        }

        /// Its connections are not counted as 0 in silence.
        @Test func aWorkerThatDoesNotAnswer() throws {
            try ServerProcess.run(.presence, .base, workers: 2, { $0.keepsMembers = false }) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                for client in clients { #expect((try client.ask(.subscribe("news")) as PushResult).isAccepted) }
                let worker = try server.process("worker 0")
                server.signal(SIGSTOP, to: worker)
                let partial = try count(clients[1], .subscriberCount(of: "news", within: .milliseconds(100)))
                #expect(partial.error == "\(ClusterError.incomplete(1))")
                server.signal(SIGCONT, to: worker)
                try expect(2, .subscriberCount(of: "news"), clients)
                server.signal(SIGKILL, to: worker)
                try Wait.until("the end of its connections") {
                    try count(clients[1], .subscriberCount(of: "news")) == CountReport(count: 1)
                }
            }
        }

        // MARK: Several servers

        private func run(
            _ mode: ServerMode, at url: String, test: ([ServerProcess], [WebSocketClient]) throws -> Void
        ) throws {
            let configure: (inout Configuration) -> Void = {
                $0.cluster = url
                $0.presenceTimeout = .seconds(2)
            }
            let workers = mode == .single ? 1 : 2
            try ServerProcess.run(.presence, mode, workers: workers, configure) { one in
                try ServerProcess.run(.presence, mode, workers: workers, configure) { other in
                    let servers = [one, other]
                    let clients = try servers.map { try WebSocketClient(port: $0.port) }
                    try Wait.until("both servers") {
                        let connections: [Int] = try clients[0].ask(.clusterNodes)
                        return connections.count == 2
                    }
                    try test(servers, clients)
                }
            }
        }

        @Test(arguments: BrokerKind.cases(ServerMode.allCases)) func connectionsOfAllServers(
            _ kind: BrokerKind, _ mode: ServerMode
        ) throws {
            let broker = try kind.make()
            try run(mode, at: broker.url) { servers, clients in
                let others = try servers.flatMap {
                    mode == .single
                        ? [try WebSocketClient(port: $0.port)] : try WebSocketClient.ofEveryWorker(2, port: $0.port)
                }
                try check(clients + others)
            }
        }

        /// The topics of a question are in different shards, which connect one after the other.
        @Test(.enabled(if: RedisProcess.isInstalled)) func overARedisCluster() throws {
            let cluster = try RedisClusterProcess()
            try run(.single, at: cluster.url) { _, clients in
                for client in clients { #expect((try client.ask(.subscribe("news")) as PushResult).isAccepted) }
                for client in clients {
                    try Wait.until("all shards") {
                        try count(client, .subscriberCount(of: "news")) == CountReport(count: 2)
                    }
                }
            }
        }

        @Test(.enabled(if: RedisProcess.isInstalled)) func killedProcessesAndServers() throws {
            let broker = try RedisProcess()
            try run(.process, at: broker.url) { servers, clients in
                for client in clients { #expect((try client.ask(.subscribe("news")) as PushResult).isAccepted) }
                // A gateway that is replaced while it is asked.
                servers[0].signal(SIGKILL, to: try servers[0].process("gateway"))
                try expect(2, .subscriberCount(of: "news"), [clients[1]])
                servers[0].signal(SIGKILL, to: -servers[0].pid)
                try servers[0].waitForEnd()
                let partial = try count(clients[1], .subscriberCount(of: "news", within: .milliseconds(100)))
                #expect(partial.error == "\(ClusterError.incomplete(1))")
                try expect(1, .subscriberCount(of: "news"), [clients[1]])
                broker.kill()
                let unavailable = CountReport(error: "\(ClusterError.unavailable)")
                try Wait.until("the loss of the broker") {
                    try count(clients[1], .subscriberCount(of: "news")) == unavailable
                }
                try broker.start()
                try Wait.until("the broker") {
                    try count(clients[1], .subscriberCount(of: "news")) == CountReport(count: 1)
                }
            }
        }
    }
}
