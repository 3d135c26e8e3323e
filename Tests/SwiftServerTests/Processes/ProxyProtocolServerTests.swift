import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Clients behind a load balancer that uses the PROXY protocol.
    @Suite struct ProxyProtocolServerTests {
        private static let request = "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n"

        /// What a client gets for a request behind this header.
        private func response(_ port: Int, _ header: String) throws -> String {
            let client = try Connection(port: port)
            try client.send(header + ProxyProtocolServerTests.request)
            return String(decoding: try client.takeRest(), as: UTF8.self)
        }

        @Test(arguments: ServerMode.allCases) func theHeaderNamesTheClient(_ mode: ServerMode) throws {
            try ServerProcess.run(.info, mode, { $0.proxies = ["127.0.0.0/8"] }) { server in
                let four = try response(server.port, "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n")
                #expect(four.contains("|192.0.2.1|true|56324|"), "\(four)")
                let six = try response(server.port, "PROXY TCP6 2001:db8::1 ::1 56325 443\r\n")
                #expect(six.contains("|2001:db8::1|true|56325|"), "\(six)")
                let unknown = try response(server.port, "PROXY UNKNOWN\r\n")
                #expect(unknown.contains("|127.0.0.1|true|"), "\(unknown)")
                let missing = try response(server.port, "")
                #expect(missing == "")
                try Wait.until("a line in the log") {
                    server.log.contains("connections refused: 1, they have no valid header of the PROXY protocol")
                }
            }
        }

        @Test func otherSourcesAreRefused() throws {
            try ServerProcess.run(.info, .process, { $0.proxies = ["192.0.2.0/24", "unix"] }) { server in
                let answer = try response(server.port, "PROXY TCP4 192.0.2.1 198.51.100.1 56324 443\r\n")
                #expect(answer == "")
                try Wait.until("a line in the log") {
                    server.log.contains("connections refused: 1, they are not from a source of proxyProtocol")
                }
            }
        }
    }
}
