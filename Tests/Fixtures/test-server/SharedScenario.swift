import Glibc
import SwiftServer
import TestProtocol

/// A table, a number and a lock, which all workers share.
@MainActor enum SharedScenario {
    private static let visits = SharedColumn<Int>("visits")
    private static let twin = SharedColumn<Int>("twin")
    private static let name = SharedColumn<String>("name", size: 16)

    static func registerOrReport(_ server: WebSocketServer) {
        do throws(SharedMemoryError) { try register(server) } catch {
            Event.sharedMemoryError("\(error)").report()
        }
    }

    private static func register(_ server: WebSocketServer) throws(SharedMemoryError) {
        let table = try SharedTable(rows: 64, columns: visits, twin, name)
        let total = try SharedAtomic()
        let lock = try SharedLock()
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onRequest { _, response in response.end() }
        server.onMessage { server, frame in
            guard let command = command(frame) else { return }
            do {
                if let answer = try run(command, server, table, total, lock) { server.answer(answer, to: frame.fd) }
            } catch { server.push("\(error)", to: frame.fd) }
        }
    }

    private static func run(
        _ command: Command, _ server: WebSocketServer, _ table: SharedTable, _ total: SharedAtomic, _ lock: SharedLock
    ) throws -> Commands.Answer? {
        switch command {
        case .increment(let count):
            for _ in 0..<count {
                try table.increment("row", visits)
                total.add()
            }
            return true
        case .update(let count):
            for _ in 0..<count {
                try table.update("pair", insert: true) { row in
                    row[visits] += 1
                    row[twin] = row[visits]
                }
            }
            return true
        case .pair: return [table["pair", visits] ?? 0, table["pair", twin] ?? 0]
        case .counters: return [table["row", visits] ?? 0, total.load()]
        case .setName(let value):
            try table.set("row", name.to(value))
            return true
        case .name: return table["row", name] as String? as Commands.Answer
        case .dieInUpdate:
            try table.update("pair", insert: true) { row in
                row[visits] = -1
                kill(getpid(), SIGKILL)
            }
            return nil
        case .dieInLock:
            lock.withLock { _ = kill(getpid(), SIGKILL) }
            return nil
        case .lock:
            var repaired = false
            lock.withReadLock(recovering: { repaired = true }, {})
            return [repaired, lock.withLock(recovering: { repaired = false }) { repaired }]
        case .makeAtomic:
            _ = try SharedAtomic()
            return true
        default: return Commands.common(command, server)
        }
    }
}
