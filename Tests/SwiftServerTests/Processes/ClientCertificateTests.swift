import SwiftServer
import SwiftServerTesting
import TestProtocol
import Testing

#if TLS
extension ProcessTests {
    /// Handlers know who the client is.
    @Suite struct ClientCertificateTests {
        private static let one = "CN=one, CN=authority, [SwiftServer.ClientCertificate.Name.dns(\"one\")]"

        @Test(arguments: [ServerMode.base, .process], [ClientHTTP2.never, .always])
        func requestsAndMessages(_ mode: ServerMode, _ http2: ClientHTTP2) async throws {
            try await run(mode) { ports, tls in
                let client = HTTPClient {
                    $0.http2 = http2
                    $0.tls = tls
                }
                let url = "127.0.0.1:\(ports[0])"
                let body = [UInt8](repeating: 7, count: 100_000)
                for _ in 0..<3 {
                    let response = try await client.post("https://\(url)/", body: .bytes(body))
                    try await #expect(response.body.text(upTo: 1000) == Self.one)
                }
                let socket = try await SwiftServer.WebSocketClient.connect("wss://\(url)/messages") {
                    $0.http2 = http2
                    $0.tls = tls
                }
                try await socket.push("who")
                try await #expect(socket.recv(timeout: .seconds(20))?.text == Self.one)
                guard mode == .process else { return }
                // The successor of a worker knows it, too.
                try await socket.push("crash")
                try await socket.push("who")
                try await #expect(socket.recv(timeout: .seconds(20))?.text == Self.one)
            }
        }

        @Test(arguments: [ServerMode.base, .process]) func streams(_ mode: ServerMode) async throws {
            try await run(mode) { ports, tls in
                let client = try Client.connect(.tls(tls), host: "127.0.0.1", port: ports[1])
                #expect(try client.recv(timeout: .seconds(20)) == Array(Self.one.utf8))
                try client.send("who")
                #expect(try client.recv(timeout: .seconds(20)) == Array("nobody".utf8))
            }
        }

        /// A server whose clients must have a certificate, and the configuration of such a client.
        private func run(
            _ mode: ServerMode, _ test: @escaping @Sendable (_ ports: [Int], ClientTLS) async throws -> Void
        ) async throws {
            let folder = try TLSFolder("one")
            defer { withExtendedLifetime(folder) {} }
            let (authority, certificate) = (folder["authority.pem"], folder.certificate("one"))
            try await ClientRun.alone {
                try ServerProcess.run(.clientCertificates, mode) {
                    $0.certificate = certificate
                    $0.clientAuthorities = authority
                } test: { server in
                    var tls = ClientTLS(trust: .authorities(.file(authority)), serverName: "one")
                    tls.identity = .init(chain: .file(certificate.chain), privateKey: .file(certificate.key))
                    let (ports, client) = (server.ports, tls)
                    try ClientRun.wait { try await test(ports, client) }
                }
            }
        }
    }
}
#endif
