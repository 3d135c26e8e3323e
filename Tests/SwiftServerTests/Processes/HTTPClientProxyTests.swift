#if TLS
import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// The HTTP client with a proxy that it uses TLS with.
    @Suite struct HTTPClientProxyTests {
        @Test func proxiesWithTLS() async throws {
            let folder = try TLSFolder("one", "two")
            defer { withExtendedLifetime(folder) {} }
            let (authority, certificate) = (folder["authority.pem"], folder.certificate("one"))
            let (chain, key) = (folder["two.pem"], folder["two.key"])
            try await ClientRun.run(.echo, .process, { $0.certificate = certificate }) { port in
                let proxy = Process()
                let output = Pipe()
                proxy.executableURL = URL(fileURLWithPath: "/usr/bin/env")
                proxy.arguments = ["python3", TLSFolder.fixtures + "/proxy.py", chain, key]
                proxy.standardOutput = output
                try proxy.run()
                defer {
                    kill(proxy.processIdentifier, SIGKILL)  // other signals may be blocked, as in this process
                    proxy.waitUntilExit()
                }
                let line = String(decoding: output.fileHandleForReading.availableData, as: UTF8.self)
                let proxyPort = try #require(Int(line.trimmingCharacters(in: .whitespacesAndNewlines)))
                func client(_ proxyName: String) -> HTTPClient {
                    let trust = ClientTLS.Trust.authorities(.file(authority))
                    return HTTPClient {
                        $0.tls = ClientTLS(trust: trust, serverName: "one")
                        $0.proxy = HTTPProxy(
                            host: "127.0.0.1", port: proxyPort, tls: ClientTLS(trust: trust, serverName: proxyName))
                    }
                }
                let good = client("two")
                for _ in 0..<2 {
                    let text = try await good.get("https://127.0.0.1:\(port)/secure").body.text(upTo: 100)
                    #expect(text == "true true")
                    let proxied = try await good.get("http://a.invalid/b?c").body.text(upTo: 100)
                    #expect(proxied == "GET http://a.invalid/b?c HTTP/1.1")
                }
                for url in ["https://127.0.0.1:\(port)/secure", "http://a.invalid/"] {
                    let error = await #expect(throws: ClientError.self) { _ = try await client("one").get(url) }
                    #expect(error?.code == .tls)
                }
            }
        }
    }
}
#endif
