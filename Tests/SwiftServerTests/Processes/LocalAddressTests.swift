import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// The addresses that clients have connected to.
    @Suite struct LocalAddressTests {
        @Test(arguments: ServerMode.supervised) func eachPortHasItsAddress(_ mode: ServerMode) async throws {
            try await ClientRun.alone {
                let path = NSTemporaryDirectory() + "local-address.\(getpid()).\(mode.rawValue)"
                try ServerProcess.run(.addresses, mode, workers: 2, { $0.unixSocket = path }) { server in
                    let ports = server.ports
                    try ClientRun.wait {
                        let client = HTTPClient()
                        for (host, port, address) in [
                            ("127.0.0.1", ports[0], "127.0.0.1"), ("127.0.0.1", ports[1], "127.0.0.1"),
                            ("127.1.2.3", ports[1], "127.1.2.3"), ("[::1]", ports[2], "::1"),
                            ("[::1]", ports[3], "::1"),
                            ("127.0.0.1", ports[1], "127.0.0.1"),
                        ] {
                            let text = try await client.get("http://\(host):\(port)/").body.text(upTo: 100)
                            #expect(text == address)
                        }
                        var request = HTTPClientRequest("http://localhost/")
                        request.unixSocket = path
                        let text = try await client.execute(request).body.text(upTo: 200)
                        #expect(text == "unix:\(path)")
                    }
                }
            }
        }
    }
}
