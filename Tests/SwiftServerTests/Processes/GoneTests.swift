import SwiftServer
import Testing

extension ProcessTests {
    /// What the server still knows of a connection that has ended, or is being closed.
    @Suite struct GoneTests {
        @Test(arguments: ServerMode.supervised, ["", "async=1"])
        func inOnCloseItIsGone(_ mode: ServerMode, _ style: String) throws {
            try ServerProcess.run("behaviour", mode, [style]) { server in
                let endings: [(WebSocketClient) throws -> Void] = [
                    { try $0.sendClose(1000) }, { $0.connection.disconnect() }, { $0.connection.reset() },
                    { try $0.send(1, [0xC0]) },
                    {
                        try $0.send("/close")
                        #expect(try $0.receive() == .close(4000, ""))
                        try $0.sendClose(4000)
                    },
                ]
                for (index, end) in endings.enumerated() {
                    let client = try WebSocketClient(port: server.port, welcome: false)
                    try end(client)
                    #expect(try server.line("known", index + 1) == "known false false closed", "ending \(index)")
                }
            }
        }

        @Test(arguments: ServerMode.supervised, ["", "async=1"])
        func whatIsClosedIsClosedAtOnce(_ mode: ServerMode, _ style: String) throws {
            try ServerProcess.run("behaviour", mode, [style]) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                try client.send("/close")
                #expect(try server.line("closed") == "closed true false closed")
                #expect(try server.line("closing") == "closing true false")
                #expect(try client.receive() == .close(4000, ""))
                try client.sendClose(4000)
                #expect(try client.receive() == .end)
                #expect(try server.line("close").hasSuffix(" 4000 [closed by the server]"))
            }
        }

        @Test(arguments: ServerMode.supervised) func streamsToo(_ mode: ServerMode) throws {
            try ServerProcess.run("behaviour", mode) { server in
                let port = try server.line("ports").split(separator: " ").last
                let client = try Connection(port: try #require(Int(port ?? "")))
                try client.send("something")
                #expect(try server.line("stream") == "stream true false closed")
                #expect(try client.takeRest().isEmpty)
                #expect(try server.line("known") == "known false false closed")
            }
        }
    }
}
