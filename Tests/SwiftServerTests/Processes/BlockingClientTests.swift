import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// The blocking client for scripts, rows G7 to G12 and R8.
    @Suite struct BlockingClientTests {
        private static let limit = Duration.seconds(20)

        private func text(_ bytes: [UInt8]?) -> String? { bytes.map { String(decoding: $0, as: UTF8.self) } }

        @Test(arguments: ServerMode.supervised) func anEchoOverTCP(_ mode: ServerMode) throws {
            try ServerProcess.run(.ports, mode) { server in
                let client = try Client.connect(.tcp, host: "127.0.0.1", port: server.ports[1], timeout: .seconds(20))
                #expect(client.isOpen)
                #expect(client.name == "127.0.0.1:\(server.ports[1])")
                try client.send("hello server")
                let answer = try client.recv(timeout: Self.limit)
                #expect(text(answer) == "hello server")
                // A part now, the rest later.
                try client.send("hello again")
                let first = try client.recv(maxLength: 5, timeout: Self.limit)
                #expect(text(first) == "hello")
                let rest = try client.recv(timeout: Self.limit)
                #expect(text(rest) == " again")
                client.close()
                #expect(!client.isOpen)
                client.close()
                let error = #expect(throws: ClientError.self) { try client.send("late") }
                #expect(error?.code == .closed)
                let after = try client.recv()
                #expect(after == nil)
            }
        }

        @Test func hostNamesAndIPv6() throws {
            try ServerProcess.run(.ports) { server in
                for (host, port) in [("localhost", server.ports[1]), ("::1", server.ports[6])] {
                    let client = try Client.connect(host: host, port: port, timeout: Self.limit)
                    try client.send(host)
                    let answer = try client.recv(timeout: Self.limit)
                    #expect(text(answer) == host)
                }
            }
        }

        @Test func largeDataInBothDirections() throws {
            try ServerProcess.run(.ports) { server in
                let client = try Client.connect(host: "127.0.0.1", port: server.ports[1], timeout: Self.limit)
                let data = (0..<1 << 18).map { UInt8(truncatingIfNeeded: $0 &* 7 + $0 >> 8) }
                try client.send(data, timeout: Self.limit)
                var received: [UInt8] = []
                while received.count < data.count {
                    guard let more = try client.recv(timeout: Self.limit) else { break }
                    received += more
                }
                let isSame = received == data
                #expect(isSame)
            }
        }

        @Test(arguments: ServerMode.supervised) func packetsOverUDP(_ mode: ServerMode) throws {
            try ServerProcess.run(.ports, mode) { server in
                let client = try Client.connect(.udp, host: "127.0.0.1", port: server.ports[5], timeout: Self.limit)
                for size in [1, 1400, 60_000] {
                    try client.send([UInt8](repeating: 7, count: size))
                    let answer = try client.recv(timeout: Self.limit)
                    #expect(answer == [UInt8](repeating: 7, count: size))
                }
                let tooLong = #expect(throws: ClientError.self) {
                    try client.send([UInt8](repeating: 7, count: 70_000))
                }
                #expect(tooLong?.code == .invalidMessage)
                let late = #expect(throws: ClientError.self) { _ = try client.recv(timeout: .milliseconds(1)) }
                #expect(late?.code == .timedOut)
                client.close()
                let closed = #expect(throws: ClientError.self) { try client.send("late") }
                #expect(closed?.code == .closed)
            }
        }

        @Test func unixSockets() throws {
            let path = NSTemporaryDirectory() + "/client-\(getpid())"
            try ServerProcess.run(.ports, .process, { $0.unixSocket = path }) { server in
                let client = try Client.connect(unix: path, timeout: Self.limit)
                try client.send("local")
                let answer = try client.recv(timeout: Self.limit)
                #expect(text(answer) == "local")
            }
            let error = #expect(throws: ClientError.self) { _ = try Client.connect(unix: path) }
            #expect(error?.code == .refused)
            #expect(error?.message.contains(path) == true)
        }

        /// Framings of the client are those of servers.
        @Test func packetsHaveEnds() throws {
            try ServerProcess.run(.ports) { server in
                let lines = try Client.connect(
                    host: "127.0.0.1", port: server.ports[2], timeout: Self.limit, framing: .endMarker("\r\n"))
                try lines.send("one\r\ntwo\r\nthree\r\n")
                for expected in ["<one\r\n", "<two\r\n", "<three\r\n"] {
                    let line = try lines.recv(timeout: Self.limit)
                    #expect(text(line) == expected)
                }
                let sized = try Client.connect(
                    host: "127.0.0.1", port: server.ports[1], timeout: Self.limit,
                    framing: .length("n", offset: 0, bodyOffset: 2), maxPacket: 10)
                try sized.send([0, 1, 65, 0, 8] + [UInt8](repeating: 66, count: 8))
                #expect(try sized.recv(timeout: Self.limit) == [0, 1, 65])
                let long = #expect(throws: ClientError.self) { _ = try sized.recv(maxLength: 5, timeout: Self.limit) }
                #expect(long?.code == .invalidMessage)
                let whole = try sized.recv(timeout: Self.limit)
                #expect(whole?.count == 10)
                try sized.send([1, 0])
                let broken = #expect(throws: ClientError.self) { _ = try sized.recv(timeout: Self.limit) }
                #expect(broken?.code == .protocolError)
                #expect(!sized.isOpen)
            }
        }

        @Test func theEndOfTheServer() throws {
            try ServerProcess.run(.ports) { server in
                let client = try Client.connect(host: "127.0.0.1", port: server.ports[2], timeout: Self.limit)
                let late = #expect(throws: ClientError.self) { _ = try client.recv(timeout: .milliseconds(10)) }
                #expect(late?.code == .timedOut)
                // Longer than the server's limit: it ends the connection.
                try client.send(String(repeating: "x", count: 200))
                let end = try client.recv(timeout: Self.limit)
                #expect(end == nil)
                #expect(!client.isOpen)
            }
        }

        @Test func failures() throws {
            let listener = try ClosedPort()
            let refused = #expect(throws: ClientError.self) {
                _ = try Client.connect(host: "127.0.0.1", port: listener.port)
            }
            #expect(refused?.code == .refused)
            #expect(refused?.description == "refused: cannot connect to 127.0.0.1:\(listener.port): Connection refused")
            for (kind, host, port, timeout, words) in [
                (Client.Kind.tcp, "127.0.0.1", 0, Duration.seconds(1), "port must be 1 to 65535, got 0"),
                (.tcp, "a b", 80, .seconds(1), "cannot connect to a b:80: invalid argument"),
                (.tcp, "", 80, .seconds(1), "host must be an address or a name"),
                (.tcp, "unix:/tmp/x", 80, .seconds(1), "host must be an address or a name, got unix:/tmp/x"),
                (.udp, "127.0.0.1", 80, .zero, "timeout must be 1 ms to 1 day"),
            ] {
                let error = #expect(throws: ClientError.self) {
                    _ = try Client.connect(kind, host: host, port: port, timeout: timeout)
                }
                #expect(error?.code == .invalidArgument)
                #expect(error?.message.hasPrefix(words) == true)
            }
            let framed = #expect(throws: ClientError.self) {
                _ = try Client.connect(host: "127.0.0.1", port: 80, framing: .endMarker(""))
            }
            #expect(framed?.message.hasPrefix("framing must have") == true)
            let udp = #expect(throws: ClientError.self) {
                _ = try Client.connect(.udp, host: "127.0.0.1", port: 80, framing: .endMarker("\n"))
            }
            #expect(udp?.message.hasPrefix("framing must be .none for UDP") == true)
        }

        /// A server that accepts nothing: its backlog takes the connection, and nobody answers.
        @Test func timeLimits() throws {
            let silent = try SilentPort()
            let client = try Client.connect(host: "127.0.0.1", port: silent.port, timeout: Self.limit)
            let error = #expect(throws: ClientError.self) {
                try client.send([UInt8](repeating: 0, count: 32 << 20), timeout: .milliseconds(50))
            }
            #expect(error?.code == .timedOut)
            #if TLS
            let handshake = #expect(throws: ClientError.self) {
                _ = try Client.connect(.tls, host: "127.0.0.1", port: silent.port, timeout: .milliseconds(50))
            }
            #expect(handshake?.code == .timedOut)
            #endif
        }

        #if TLS
        @Test(arguments: ServerMode.supervised) func certificatesAreVerified(_ mode: ServerMode) throws {
            let folder = try TLSFolder("one")
            try ServerProcess.run(.echo, mode, { $0.certificate = folder.certificate("one") }) { server in
                let own = ClientTLS(trust: .authorities(.file(folder["authority.pem"])), serverName: "one")
                let request = "GET / HTTP/1.1\r\nHost: one\r\n\r\n"
                for tls in [own, ClientTLS(trust: .anyCertificate)] {
                    let client = try Client.connect(
                        .tls(tls), host: "127.0.0.1", port: server.port, timeout: Self.limit)
                    try client.send(request)
                    let answer = try client.recv(timeout: Self.limit)
                    #expect(text(answer)?.hasPrefix("HTTP/1.1 200 OK\r\n") == true)
                    client.close()
                }
                var other = own
                other.serverName = "two"
                for (tls, cause) in [
                    (ClientTLS(), "unable to get local issuer certificate"), (other, "hostname mismatch"),
                    (ClientTLS(trust: .authorities(.file("/nowhere.pem"))), "/nowhere.pem: No such file or directory"),
                ] {
                    let error = #expect(throws: ClientError.self) {
                        _ = try Client.connect(
                            .tls(tls), host: "127.0.0.1", port: server.port, timeout: Self.limit)
                    }
                    #expect(error?.code == .tls)
                    #expect(error?.message.hasSuffix(cause) == true, "\(error?.message ?? "")")
                }
            }
        }
        #endif
    }
}

/// A port of this machine at which nobody listens.
private struct ClosedPort {
    let port: Int
    init() throws { port = try SilentPort().port }
}

/// A port that listens and accepts nothing.
private final class SilentPort {
    let port: Int
    private let descriptor: Int32

    init() throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let descriptor = descriptor
        let result = unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, size) + listen(descriptor, 5) + getsockname(descriptor, $0, &size)
            }
        }
        try #require(result == 0)
        port = Int(UInt16(bigEndian: address.sin_port))
    }

    deinit { close(descriptor) }
}
