import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// A worker can write to the memory that it shares with the master.
    @Suite struct OverwrittenMemoryTests {
        private func run(
            _ mode: ServerMode = .process, workers: Int = 1, test: (ServerProcess) throws -> Void
        ) throws {
            try ServerProcess.run(.overwriting, mode, workers: workers) {
                $0.reactors = mode == .process ? 1 : nil
                $0.maxConnections = 1000
            } test: {
                try test($0)
            }
        }

        private func client(_ server: ServerProcess) throws -> WebSocketClient {
            try WebSocketClient(port: server.port, welcome: false)
        }

        @Test(arguments: [SharedPlace.table, .nodes], [0, 165, 255] as [UInt8])
        func overwrittenConnectionsAndMailboxesAreRestored(_ place: SharedPlace, _ byte: UInt8) throws {
            try run(workers: 2) { server in
                let clients = try (0..<6).map { _ in try client(server) }
                let before = try clients.map { try $0.who() }
                try clients[0].send(.overwrite(place, byte))
                try server.event(.overwritten)
                for _ in 0..<6 { #expect(before.contains(try client(server).who())) }
                try Wait.until("a report in the log") { server.log.contains("has overwritten") }
                for (client, worker) in zip(clients.dropFirst(), before.dropFirst()) {
                    #expect(try client.who() == worker)
                }
                #expect(server.events(.workerStart).count == 2, "nobody was replaced")
            }
        }

        /// Records that were overwritten are lost, and the processes that cannot read on are replaced.
        @Test(arguments: [0, 165, 255] as [UInt8]) func aServerWhoseRingsWereOverwrittenServesAgain(_ byte: UInt8)
            throws
        {
            try run(workers: 2) { server in
                let clients = try (0..<2).map { _ in try client(server) }
                for client in clients { _ = try client.who() }
                try clients[0].send(.overwrite(.all, byte))
                var served: Set<Int> = []
                try Wait.until("an answer of each worker; so far \(served)") {
                    let client = try client(server)
                    try client.send(.who)
                    var entry = pollfd(fd: client.connection.descriptor, events: Int16(POLLIN), revents: 0)
                    if unsafe poll(&entry, 1, 300) > 0, let worker: WorkerIdentity = try? client.answer() {
                        served.insert(worker.id)
                    }
                    return served.count == 2
                }
                // What is noticed first differs: an invalid record, whose writer is killed, or a value of the reader.
                try Wait.until("a report in the log") {
                    server.log.contains("overwritten") || server.log.contains("corrupt record")
                }
                #expect(server.end == nil)
            }
        }

        @Test(arguments: ServerMode.supervised) func aWorkerCannotTruncateSharedMemory(_ mode: ServerMode) throws {
            try run(mode) { server in
                let client = try client(server)
                let worker = try client.who().pid
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
                #expect(truncated == 2, "the bus and the values")
                #expect(try client.who().pid == worker)
            }
        }
    }
}
