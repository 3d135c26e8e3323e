import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Several ports in one server, each with its own protocol.
    @Suite struct PortTests {
        @Test(arguments: ServerMode.supervised) func eachPortSpeaksItsOwnProtocol(_ mode: ServerMode) throws {
            try ServerProcess.run(.ports, mode, workers: 2) { server in
                let ports = server.ports
                let web = try WebSocketClient(port: ports[0])
                #expect(try web.ask("hello") == "hello")
                let raw = try Connection(port: ports[1])
                try raw.send("bytes")
                #expect(try raw.take(5) == Array("bytes".utf8))
                #expect(try Connection(port: ports[7]).get("/").body == "page")
                let six = try Connection.ipv6(port: ports[6])
                try six.send("v6")
                #expect(try six.take(2) == Array("v6".utf8))
            }
        }

        /// Three packets back to back are three calls, wherever the segments are.
        @Test(arguments: ServerMode.supervised) func packetsAreCut(_ mode: ServerMode) throws {
            try ServerProcess.run(.ports, mode) { server in
                let ports = server.ports
                let lines = try Connection(port: ports[2])
                let text = Array("one\r\ntwo\r\nthree\r\n".utf8)
                for split in 0...text.count {
                    try lines.send(Array(text[..<split]))
                    if split % 4 == 1 { usleep(2000) }
                    try lines.send(Array(text[split...]))
                    #expect(try lines.take(20) == Array("<one\r\n<two\r\n<three\r\n".utf8))
                }
                let sized = try Connection(port: ports[3])
                let packet: [UInt8] = [0, 0, 0, 12] + Array("Just a test.".utf8)
                try sized.send(packet + packet + packet)
                #expect(try sized.take(39) == Array("Just a test.;Just a test.;Just a test.;".utf8))
            }
        }

        @Test(arguments: ServerMode.supervised) func tooLongPacketEndsTheConnection(_ mode: ServerMode) throws {
            try ServerProcess.run(.ports, mode) { server in
                let lines = try Connection(port: server.ports[2])
                try lines.send(String(repeating: "x", count: 200))
                #expect(try lines.takeRest() == [])
                #expect(!lines.wasReset)
                // Without a handler of its own the port's event goes to the server's.
                let text = try server.expectClose(cause: .protocolError)
                #expect(text.hasPrefix("no end marker"))
            }
        }

        @Test(arguments: ServerMode.supervised) func connectAndCloseComeInPairs(_ mode: ServerMode) throws {
            try ServerProcess.run(.ports, mode) { server in
                let port = server.ports[1]
                let first = try Connection(port: port)
                let fd = try server.event("connect") { if case .connect(let fd) = $0 { fd } else { nil } }
                first.disconnect()
                guard case .gone(fd, 0, .peer, _) = try server.event(.gone) else {
                    Issue.record("another close: \(server.events)")
                    return
                }
                // Half a connection: what was asked before is answered.
                let second = try Connection(port: port)
                try second.send("last words")
                second.shutdownOutput()
                #expect(try second.takeRest() == Array("last words".utf8))
                try server.event(.gone, 2)
                let third = try Connection(port: port)
                try server.event(.connect, 3)
                try server.stop()
                #expect(try third.takeRest() == [])
                #expect(server.events(.gone).count == 3)
                guard case .gone(_, _, .shutdown, _) = server.events(.gone)[2] else {
                    Issue.record("another close: \(server.events)")
                    return
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func asyncAnswersReachAHalfClosedClient(_ mode: ServerMode) throws {
            try ServerProcess.run(.ports, mode) { server in
                let sized = try Connection(port: server.ports[3])
                try sized.send([0, 0, 0, 1, 65, 0, 0, 0, 1, 66])
                sized.shutdownOutput()
                #expect(try sized.takeRest() == Array("A;B;".utf8))
            }
        }

        @Test(arguments: ServerMode.supervised) func largeSendsArrive(_ mode: ServerMode) throws {
            try ServerProcess.run(.ports, mode) { server in
                let raw = try Connection(port: server.ports[1])
                let data = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 7 + $0 >> 8) }
                for start in stride(from: 0, to: data.count, by: 1 << 18) {
                    let part = Array(data[start..<start + 1 << 18])
                    try raw.send(part)
                    let isSame = try raw.take(part.count) == part
                    #expect(isSame)
                }
            }
        }

        /// Larger than a ring, so that it travels in pieces.
        @Test(arguments: ServerMode.supervised) func aLargePacketStaysWhole(_ mode: ServerMode) throws {
            try ServerProcess.run(.ports, mode, { $0.ringSize = 4096 }) { server in
                let sized = try Connection(port: server.ports[3])
                let body = (0..<1 << 20).map { UInt8(truncatingIfNeeded: ($0 &* 7 + $0 >> 8) & 63 + 32) }
                try sized.send([0, 16, 0, 0] + body)
                let isSame = try sized.take(body.count + 1) == body + [UInt8(ascii: ";")]
                #expect(isSame)
            }
        }

        /// A back end sends over TCP, and the browsers of all workers are notified.
        @Test(arguments: ServerMode.supervised) func aTCPPortTriggersPushes(_ mode: ServerMode) throws {
            try ServerProcess.run(.ports, mode, workers: 2) { server in
                let ports = server.ports
                let clients = try (0..<6).map { _ in try WebSocketClient(port: ports[0]) }
                let back = try Connection(port: ports[4])
                try back.send("news")
                for client in clients { #expect(try client.receiveText() == "news") }
                #expect(try server.event(.wrongKind) == .wrongKind(push: .notWebSocket, send: .closed))
                #expect(try server.event(.wrongKindElsewhere) == .wrongKindElsewhere(.notStream, .queued))
            }
        }

        @Test(arguments: ServerMode.supervised) func datagramsComeBack(_ mode: ServerMode) throws {
            try ServerProcess.run(.ports, mode, workers: 2) { server in
                let port = server.ports[5]
                for size in [1, 1400, 60_000] {
                    let client = try Connection.datagrams(port: port)
                    let bytes = (0..<size).map { UInt8(truncatingIfNeeded: $0) }
                    try client.send(bytes)
                    #expect(try client.take(size) == bytes)
                }
                #expect(try server.event(.packet, 3) == .packet(host: "127.0.0.1", size: 60_000))
            }
        }

        @Test(arguments: ServerMode.supervised) func aUnixSocketComesAndGoes(_ mode: ServerMode) throws {
            let path = NSTemporaryDirectory() + "/ports-\(getpid())-\(mode)"
            for _ in 0..<2 {
                try ServerProcess.run(.ports, mode, workers: 2, { $0.unixSocket = path }) { server in
                    let client = try Connection.local(path: path)
                    try client.send("local")
                    #expect(try client.take(5) == Array("local".utf8))
                    let second = try ServerProcess.runFailing(.ports, mode) { $0.unixSocket = path }
                    let (code, message) = try second.onlyError()
                    #expect(code == .bindFailed && message.contains(path))
                }
                #expect(!FileManager.default.fileExists(atPath: path))
            }
        }

        @Test func whatIsMissingIsSaidAtTheStart() throws {
            for (scenario, expected, words) in [
                (
                    Scenario.noReceive, ServerError.Code.missingHandler,
                    "tcp port 127.0.0.1:0 needs an onReceive handler"
                ),
                (.noPacket, .missingHandler, "udp port 127.0.0.1:0 needs an onPacket handler"),
                (.badFraming, .invalidSetting, "tcp port 127.0.0.1:0: framing must have"),
            ] {
                let (code, message) = try ServerProcess.runFailing(scenario).onlyError()
                #expect(code == expected && message.hasPrefix(words))
            }
        }
    }
}
