import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Requests that the core refuses by itself.
    @Suite struct RefusalTests {
        private static let handshake =
            "Host: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

        private static let refused: [(fields: String, status: Int)] = [
            ("Host: a\r\nContent-Length: 999999999\r\n\r\n", 413),
            ("Host: a\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n", 413),
            ("Host: a\r\nBad Field: 1\r\n\r\n", 400),
            ("\r\n", 400),
            ("Host: a\r\nLong: \(String(repeating: "x", count: 70_000))\r\n\r\n", 431),
        ]

        private static let refusedHandshakes: [(fields: String, status: Int)] = [
            ("Sec-WebSocket-Version: 12\r\n\r\n", 426),
            ("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: permessage-deflate; =\r\n\r\n", 400),
            ("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: ;\r\n\r\n", 400),
            ("Sec-WebSocket-Version: 13\r\nSec-WebSocket-Extensions: a; b=\"c\r\n\r\n", 400),
        ]

        /// Sends one request and returns the answer and what follows its head.
        private func exchange(_ server: ServerProcess, _ request: String) throws -> (head: String, rest: [UInt8]) {
            let client = try Connection(port: server.port)
            try client.send(request)
            let head = try client.take(through: "\r\n\r\n") ?? ""
            return (head, try client.takeRest())
        }

        @Test(arguments: ServerMode.supervised) func refusedHEADHasNoBody(_ mode: ServerMode) throws {
            try ServerProcess.run(.behaviour, mode) { server in
                for (fields, status) in RefusalTests.refused {
                    let head = try exchange(server, "HEAD / HTTP/1.1\r\n\(fields)")
                    #expect(
                        head.head.hasPrefix("HTTP/1.1 \(status) ") && head.rest.isEmpty, "\(head) \(fields.prefix(40))")
                    let post = try exchange(server, "POST / HTTP/1.1\r\n\(fields)")
                    #expect(post.head.hasPrefix("HTTP/1.1 \(status) ") && !post.rest.isEmpty, "\(post)")
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func refusedHandshakes(_ mode: ServerMode) throws {
            try ServerProcess.run(.behaviour, mode) { server in
                for (fields, status) in RefusalTests.refusedHandshakes {
                    let fields = RefusalTests.handshake + fields
                    let get = try exchange(server, "GET / HTTP/1.1\r\n\(fields)")
                    #expect(get.head.hasPrefix("HTTP/1.1 \(status) "), "\(get) \(fields)")
                    let head = try exchange(server, "HEAD / HTTP/1.1\r\n\(fields)")
                    #expect(head.head.hasPrefix("HTTP/1.1 4") && head.rest.isEmpty, "\(head)")
                }
            }
        }
    }
}
