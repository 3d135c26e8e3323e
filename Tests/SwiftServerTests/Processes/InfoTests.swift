import Foundation
import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// What can be asked about connections and requests, and commands to single connections.
    @Suite struct InfoTests {
        @Test(arguments: ServerMode.allCases) func requestsKnowTheirServer(_ mode: ServerMode) throws {
            try ServerProcess.run(.info, mode) { server in
                let connection = try Connection(port: server.port)
                let text = "POST /a%20b?x HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\n\r\nbody"
                try connection.send(text)
                let parts = try connection.takeResponse().body.split(separator: "|").map(String.init)
                #expect(parts.count == 11)
                #expect(parts[0...4] == ["POST /a%20b?x HTTP/1.1", "1.1", "http", "127.0.0.1", "true"])
                #expect(Int(parts[5]) ?? 0 > 0)
                #expect(parts[6...7] == ["true", "/a b"])
                #expect(parts[8] == text)
                #expect(parts[9...] == ["127.0.0.1", "true"])
            }
        }

        @Test(arguments: ServerMode.allCases) func theLastStateIsKnownAfterTheClose(_ mode: ServerMode) throws {
            try ServerProcess.run(.info, mode) { server in
                let client = try WebSocketClient(port: server.port)
                try client.sendClose(1000)
                try server.wait(for: .outcome("true true none 127.0.0.1 true true"))
                let other = try WebSocketClient(port: server.port)
                other.connection.reset()
                try server.wait(for: .outcome("true true none 127.0.0.1 true true"), 2)
            }
        }

        @Test(arguments: ServerMode.allCases) func clientsThatLeaveAreNoErrors(_ mode: ServerMode) throws {
            try ServerProcess.run(.info, mode) { server in
                let orderly = try WebSocketClient(port: server.port)
                try orderly.sendClose(1000)
                try server.wait(for: .outcome("\(CloseReason.Cause.peer), errno 0"))
                let client = try WebSocketClient(port: server.port)
                client.connection.reset()
                try server.wait(for: .outcome("\(CloseReason.Cause.peer), errno 0"), 2)
            }
        }

        @Test(arguments: ServerMode.allCases) func theListeningDescriptorIsKnown(_ mode: ServerMode) throws {
            try ServerProcess.run(.info, mode) { server in
                let client = try WebSocketClient(port: server.port)
                // In process mode the master listens.
                #expect(try client.ask("listener") == (mode == .process ? "elsewhere true" : "listening"))
            }
        }

        @Test(arguments: ServerMode.allCases) func readingIsPaused(_ mode: ServerMode) throws {
            try ServerProcess.run(.info, mode) { server in
                let (first, second) = (try WebSocketClient(port: server.port), try WebSocketClient(port: server.port))
                let accepted = mode == .process ? "queued" : "done"
                #expect(try first.ask("pause \(second.fd)") == accepted)
                try second.send("hello")
                for _ in 0..<20 { #expect(try first.ask("count \(second.fd)") == "0") }
                #expect(try first.ask("resume \(second.fd)") == accepted)
                #expect(try second.receiveText() == "hello")
                #expect(try first.ask("pause 4000000000") == "closed")
            }
        }

        @Test(arguments: ServerMode.allCases) func connectionsAreReset(_ mode: ServerMode) throws {
            try ServerProcess.run(.info, mode) { server in
                let (first, second) = (try WebSocketClient(port: server.port), try WebSocketClient(port: server.port))
                #expect(try first.ask("reset \(second.fd)") == (mode == .process ? "queued" : "done"))
                #expect(try second.receive() == .end)
                #expect(second.connection.wasReset)
                try server.event(.outcome)
                #expect(try first.ask("reset \(second.fd)") == "closed")
            }
        }

        @Test(arguments: ServerMode.allCases) func refusedCommandsHaveAReason(_ mode: ServerMode) throws {
            try ServerProcess.run(.info, mode) { server in
                let client = try WebSocketClient(port: server.port)
                let reasons = Array(repeating: "closed", count: 7) + ["invalid", "invalid"]
                #expect(try client.ask("refused") == reasons.joined(separator: " "))
                #expect(try client.ask("bind 7") == (mode == .process ? "queued" : "done"))
                #expect(try client.ask("bind 8") == "bound")
            }
        }

        @Test(arguments: ServerMode.allCases) func pingsAreSent(_ mode: ServerMode) throws {
            try ServerProcess.run(.info, mode) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send("ping")
                #expect(try client.receive() == .ping([1, 2]))
                #expect(try client.receiveText() == (mode == .process ? "queued" : "sent"))
            }
        }

        @Test(arguments: ServerMode.allCases) func silentConnectionsAreFound(_ mode: ServerMode) throws {
            try ServerProcess.run(.info, mode) { server in
                let (first, second) = (try WebSocketClient(port: server.port), try WebSocketClient(port: server.port))
                let http = try Connection(port: server.port)
                #expect(try http.get("/").status == 200)
                #expect(try first.ask("unlimited") == "0")
                #expect(try first.ask("protect") == (mode == .process ? "queued" : "done"))
                try Wait.until("both are silent") { try first.ask("silent") == "1" }
                #expect(try first.ask("heartbeat") == "1")
                #expect(try second.receive() == .close(1000, "heartbeat"))
                #expect(try http.get("/").status == 200)
            }
        }

        @Test(arguments: ServerMode.allCases) func aProcessIsRenamed(_ mode: ServerMode) throws {
            try ServerProcess.run(.info, mode) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("title front door") == (mode == .single ? "false false" : "true false"))
                let titles = server.running.compactMap { ProcessTable.title($0) }
                #expect(titles.contains("front door") == (mode != .single))
            }
        }

        @Test(arguments: ServerMode.allCases) func filesAreSentToStreams(_ mode: ServerMode) throws {
            let path = NSTemporaryDirectory() + "file.\(getpid()).\(mode.rawValue)"
            let content = (0..<3_000_000).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 8) }
            try Data(content).write(to: URL(fileURLWithPath: path))
            defer { unsafe unlink(path) }
            try ServerProcess.run(.info, mode) { server in
                func ask(_ text: String) throws -> [UInt8] {
                    let client = try Connection(port: server.ports[1])
                    try client.send(text + "\n")
                    return try client.takeRest()
                }
                let end = [UInt8]("end".utf8)
                let whole = try ask(path)
                #expect(whole == content + end)
                let part = try ask("\(path) 1000 100000")
                #expect(part == content[1000..<101_000] + end)
                let rest = try ask("\(path) 2999999 5")
                #expect(rest == content[2_999_999...] + end)
                let nothing = try ask("\(path) 3000000")
                #expect(nothing == end)
                try server.wait(for: .outcome("sent"), 4)
                let missing = String(decoding: try ask("\(path).missing"), as: UTF8.self)
                #expect(missing.contains("cannot send \(path).missing: No such file or directory"))
                #expect(
                    String(decoding: try ask("\(path) 3000001"), as: UTF8.self).contains("offset must be 0...3000000"))
                #expect(String(decoding: try ask("/tmp"), as: UTF8.self).contains("it is not a regular file"))
                let leaver = try Connection(port: server.ports[1])
                // More than the system's buffers hold.
                #expect(unsafe truncate(path, 1 << 26) == 0)
                try leaver.send(path + "\n")
                #expect(try leaver.take(10) == Array(content[..<10]))
                leaver.reset()
                try server.wait(for: .outcome("closed"))
            }
        }

        @Test(arguments: ServerMode.allCases) func aFunctionCutsPackets(_ mode: ServerMode) throws {
            try ServerProcess.run(.info, mode) { server in
                let client = try Connection(port: server.ports[2])
                let packets: [UInt8] = [3, 7, 8, 1, 2, 9]
                for split in 1..<packets.count {
                    try client.send(Array(packets[..<split]))
                    if split == 1 { usleep(2000) }
                    try client.send(Array(packets[split...]))
                    #expect(try client.take(9) == [3, 3, 7, 8, 1, 1, 2, 2, 9])
                }
                try client.send([0xFF])
                #expect(try client.takeRest() == [])
                try server.wait(for: .outcome("sized protocol error"))
            }
        }
    }
}
