import Glibc
import SwiftServerTesting
import TestProtocol
import Testing

@testable import SwiftServer

extension ProcessTests {
    @Suite struct RateLimitServerTests {
        @Test func requestsBeyondTheLimitAreRefused() async throws {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            // One request a day: the test cannot be slow enough to get another one.
            let address = try RateLimit("address", requests: 1, per: .seconds(86400), slots: 8)
            let user = try RateLimit("user", requests: 2, per: .seconds(86400)) { $0.query["user"] }
            var silent = try RateLimit("silent", requests: 1, per: .seconds(86400)) { $0.query["user"] }
            silent.sendsFields = false
            let answer: @MainActor (Request, Response) -> Void = { request, response in response.end("passed") }
            server.group("/address", use: [address]) {
                $0.get("/", answer)
                $0.handle("/ws") { request, ws in try await ws.upgrade() }
            }
            server.group("/user", use: [user]) { $0.get("/", answer) }
            server.group("/silent", use: [silent]) { $0.get("/", answer) }
            try await withServer(server) { client in
                let first = try await client.get("/address")
                #expect(first.status == 200 && first.body == "passed")
                #expect(first["ratelimit-policy"] == "\"address\";q=1;w=86400")
                #expect(first["ratelimit"] == "\"address\";r=0;t=86400")
                let second = try await client.get("/address")
                #expect(second.status == 429 && second.body == "too many requests\n")
                #expect(second["ratelimit-policy"] == "\"address\";q=1;w=86400")
                #expect(second["ratelimit"]?.hasPrefix("\"address\";r=0;t=") == true)
                let retry = try #require(second["retry-after"].flatMap { Int($0) })
                #expect((80000...86400).contains(retry))
                await #expect(throws: TestFailure.self) { _ = try await client.webSocket("/address/ws") }
                #expect(address.refusedCount == 2 && address.evictedCount == 0)

                for (name, statuses) in [("ada", [200, 200, 429]), ("eve", [200, 200, 429])] {
                    for status in statuses { #expect(try await client.get("/user?user=\(name)").status == status) }
                }
                // Requests without a key are not limited.
                for _ in 0..<4 {
                    let response = try await client.get("/user")
                    #expect(response.status == 200 && response["ratelimit"] == nil)
                }
                #expect(user.refusedCount == 2)

                #expect(try await client.get("/silent?user=ada")["ratelimit-policy"] == nil)
                let refused = try await client.get("/silent?user=ada")
                #expect(refused.status == 429 && refused["ratelimit"] == nil && refused["retry-after"] != nil)
                let lines = client.log.lines.filter { $0.message.contains("rate limit") && $0.level == .warning }
                #expect(lines.count == 3)
                #expect(lines.first?.message.hasSuffix("the last one from 127.0.0.1") == true)
            }
        }

        /// All workers count together, and their successors go on counting.
        @Test func workersShareTheLimitAcrossAReload() throws {
            let folder = try Folder()
            try ServerProcess.run(.middleware, .process, workers: 2) {
                $0.folder = folder.path
            } test: { server in
                var connections: [Connection] = []
                var passed = 0
                var workers: Set<String> = []
                /// Sends a request on a new connection; the others stay open, so that other workers get some, too.
                func request() throws {
                    let connection = try Connection(port: server.port)
                    connections.append(connection)
                    let response = try connection.get("/limited")
                    try #require([200, 429].contains(response.status))
                    if response.status == 200 { passed += 1 }
                    workers.insert(response["x-worker"] ?? "")
                }
                // With a limit of each worker, six requests of both would all pass.
                while connections.count < 6 || workers.count < 2 && connections.count < 100 { try request() }
                #expect(workers.count == 2 && passed == 5)
                server.signal(SIGUSR1)
                for id in 0..<2 { try server.workerStart(id, 2) }
                try Wait.until("requests in both successors") {
                    try request()
                    return workers.count == 4
                }
                #expect(passed == 5, "the successors have begun with a new limit")
            }
        }
    }
}
