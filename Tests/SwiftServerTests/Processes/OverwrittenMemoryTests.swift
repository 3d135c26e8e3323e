import Glibc
import SwiftServer
import Testing

extension ProcessTests {
    /// A worker can write to the memory that it shares with the master.
    @Suite struct OverwrittenMemoryTests {
        private static let options = ["reactors=1", "maxConnections=1000"]

        private func client(_ server: ServerProcess) throws -> WebSocketClient {
            try WebSocketClient(port: server.port, welcome: false)
        }

        @Test(arguments: ["table", "nodes"], [0, 165, 255])
        func overwrittenConnectionsAndMailboxesAreRestored(_ place: String, _ byte: Int) throws {
            try ServerProcess.run("overwriting", workers: 2, Self.options) { server in
                let clients = try (0..<6).map { _ in try client(server) }
                let before = try clients.map { try $0.ask("who") }
                try clients[0].send("\(place) \(byte)")
                try server.line("overwritten")
                for _ in 0..<6 { #expect(before.contains(try client(server).ask("who"))) }
                try Wait.until("a report in the log") { server.log.contains("has overwritten") }
                for (client, worker) in zip(clients.dropFirst(), before.dropFirst()) {
                    #expect(try client.ask("who") == worker)
                }
                #expect(server.lines("workerStart").count == 2, "nobody was replaced")
            }
        }

        /// Records that were overwritten are lost, and the processes that cannot read on are replaced.
        @Test(arguments: [0, 165, 255]) func aServerWhoseRingsWereOverwrittenServesAgain(_ byte: Int) throws {
            try ServerProcess.run("overwriting", workers: 2, Self.options) { server in
                let clients = try (0..<2).map { _ in try client(server) }
                for client in clients { _ = try client.ask("who") }
                try clients[0].send("all \(byte)")
                var served: Set<Substring> = []
                try Wait.until("an answer of each worker; so far \(served)") {
                    let client = try client(server)
                    try client.send("who")
                    var entry = pollfd(fd: client.connection.descriptor, events: Int16(POLLIN), revents: 0)
                    if unsafe poll(&entry, 1, 300) > 0, let text = try? client.receiveText() {
                        served.insert(text.prefix { $0 != " " })
                    }
                    return served.count == 2
                }
                #expect(server.log.contains("overwritten"))
                #expect(server.end == nil)
            }
        }

        @Test(arguments: ServerMode.supervised) func aWorkerCannotTruncateTheBus(_ mode: ServerMode) throws {
            try ServerProcess.run("overwriting", mode, Self.options) { server in
                let client = try client(server)
                let worker = try #require(try client.ask("who").split(separator: " ").last)
                var truncated = 0
                for descriptor in 3..<200 {
                    let path = "/proc/\(worker)/fd/\(descriptor)"
                    var target = [CChar](repeating: 0, count: 100)
                    guard unsafe readlink(path, &target, 99) > 0,
                        String(decoding: target.map { UInt8(bitPattern: $0) }, as: UTF8.self).contains("creactor")
                    else { continue }
                    truncated += 1
                    #expect(unsafe truncate(path, 4096) < 0 && errno == EPERM)
                }
                #expect(truncated == 1)
                #expect(try client.ask("who").hasSuffix(worker))
            }
        }
    }
}
