import CReactor
import Glibc
import SwiftServer
import TestProtocol

/// A worker that overwrites shared memory.
@MainActor enum OverwritingScenario {
    static func register(_ server: WebSocketServer) {
        server.onMessage { server, frame in
            switch command(frame) {
            case .overwrite(let place, let byte):
                overwrite(place, byte, server)
                Event.overwritten.report()
            case .who: server.answer(WorkerIdentity(server), to: frame.fd)
            default: server.push(frame, to: frame.fd)
            }
        }
    }

    /// The parts of the bus with one reactor and few workers: a page each for the header, the mailboxes, the counters
    /// and the activities, then the connection table, then the rings.
    private static func overwrite(_ place: SharedPlace, _ byte: UInt8, _ server: WebSocketServer) {
        let page = 4096
        let table = 4 * page..<4 * page + cre_table_size(UInt32(server.settings.maxConnections))
        let nodes = server.settings.workerCount + 3
        let range =
            switch place {
            case .nodes: page..<4 * page
            case .table: table
            case .all: page..<table.upperBound + nodes * nodes * (server.settings.ringSize + page)
            }
        unsafe memset(bus + range.lowerBound, Int32(byte), range.count)
    }

    private static var bus: UnsafeMutableRawPointer {
        let maps = unsafe fopen("/proc/self/maps", "r")!
        defer { unsafe fclose(maps) }
        var line = [CChar](repeating: 0, count: 1024)
        while unsafe fgets(&line, Int32(line.count), maps) != nil {
            let text = String(decoding: line.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard text.contains("creactor-bus"), let start = UInt(text.prefix { $0 != "-" }, radix: 16) else {
                continue
            }
            return unsafe UnsafeMutableRawPointer(bitPattern: start)!
        }
        fatalError("the bus is not mapped")
    }
}
