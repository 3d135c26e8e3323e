import Glibc
import SwiftServer

/// What all workers share: a table, a number, a lock. A message is a command.
@MainActor enum SharedScenario {
    private static let visits = SharedColumn<Int>("visits")
    private static let twin = SharedColumn<Int>("twin")
    private static let name = SharedColumn<String>("name", size: 16)

    static func register(_ server: WebSocketServer) throws(SharedMemoryError) {
        let table = try SharedTable(rows: 64, columns: visits, twin, name)
        let total = try SharedAtomic()
        let lock = try SharedLock()
        server.onOpen { server, request in server.push("welcome \(request.fd)", to: request.fd) }
        server.onRequest { _, response in response.end() }
        server.onMessage { server, frame in
            let words = frame.text.split(separator: " ").map(String.init)
            let number = words.count > 1 ? Int(words[1]) ?? 0 : 0
            do {
                server.push(try run(words, number, server, table, total, lock), to: frame.fd)
            } catch { server.push("\(error)", to: frame.fd) }
        }
    }

    private static func run(
        _ words: [String], _ number: Int, _ server: WebSocketServer, _ table: SharedTable, _ total: SharedAtomic,
        _ lock: SharedLock
    ) throws -> String {
        switch words[0] {
        case "/who": return "\(server.workerID) \(getpid())"
        case "count":
            for _ in 0..<number {
                try table.increment("row", visits)
                total.add()
            }
            return "counted"
        case "update":
            for _ in 0..<number {
                try table.update("pair", insert: true) { row in
                    row[visits] += 1
                    row[twin] = row[visits]
                }
            }
            return "updated"
        case "pair": return "\(table["pair", visits] ?? 0) \(table["pair", twin] ?? 0)"
        case "totals": return "\(table["row", visits] ?? 0) \(total.load())"
        case "name":
            try table.set("row", name.to(words[1]))
            return "named"
        case "named": return table["row", name] ?? "nobody"
        case "dieInUpdate":
            try table.update("pair", insert: true) { row in
                row[visits] = -1
                kill(getpid(), SIGKILL)
            }
        case "dieInLock": lock.withLock { _ = kill(getpid(), SIGKILL) }
        case "lock":
            var repaired = false
            lock.withReadLock(recovering: { repaired = true }, {})
            return "\(repaired) \(lock.withLock(recovering: { repaired = false }) { repaired })"
        case "late":
            _ = try SharedAtomic()
            return "made"
        default: break
        }
        return "what?"
    }
}
