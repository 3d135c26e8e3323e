import SwiftServer
import Testing

extension ProcessTests {
    /// Every close of a WebSocket is reported once, with its reason.
    @Suite struct CloseTests {
        /// Closes a client in some way, and checks that onClose is called once, with `expected`.
        private func expect(
            _ expected: String, _ mode: ServerMode, _ scenario: String = "general", options: [String] = [],
            when end: (ServerProcess, WebSocketClient) throws -> Void
        ) throws {
            try ServerProcess.run(scenario, mode, options) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hello") == "hello")
                try end(server, client)
                let suffix = scenario == "async" ? " true" : ""
                let line = try server.line("close")
                let whole = "close \(client.fd) \(expected)\(suffix)"
                // When this end began, the text is whatever the peer had to say to it.
                #expect(expected.contains("by the server") ? line.hasPrefix(whole) : line == whole)
                if server.end == nil { try server.stop() }
                #expect(server.lines("close").count == 1)
            }
        }

        @Test(arguments: ServerMode.supervised, ["general", "async"])
        func clientClosesWithCodeAndReason(_ mode: ServerMode, _ scenario: String) throws {
            try expect("4000 [closed by the peer] bye", mode, scenario) { _, client in
                try client.sendClose(4000, "bye")
                guard case .close(4000, _) = try client.receive() else {
                    Issue.record("the close frame was not answered")
                    return
                }
                #expect(try client.receive() == .end)
            }
        }

        @Test(arguments: ServerMode.supervised) func clientClosesWithoutCode(_ mode: ServerMode) throws {
            try expect("1005 [closed by the peer] ", mode) { _, client in
                try client.send(8, [])
                #expect(try client.receive() == .close(1005, ""))
            }
        }

        @Test(arguments: ServerMode.supervised) func clientGoesWithoutAWord(_ mode: ServerMode) throws {
            try expect("1006 [closed by the peer] ", mode) { _, client in client.connection.disconnect() }
        }

        @Test(arguments: ServerMode.supervised) func clientGoesByReset(_ mode: ServerMode) throws {
            try expect("1006 [closed by the peer] ", mode) { _, client in client.connection.reset() }
        }

        @Test(arguments: ServerMode.supervised) func serverCloses(_ mode: ServerMode) throws {
            try expect("4321 [closed by the server] ", mode) { _, client in
                try client.send("/close 4321 all done")
                #expect(try client.receive() == .close(4321, "all done"))
                try client.sendClose(4321)
                #expect(try client.receive() == .end)
            }
        }

        @Test(arguments: ServerMode.supervised) func serverClosesFromAnotherThread(_ mode: ServerMode) throws {
            try expect("4001 [closed by the server] ", mode) { _, client in
                try client.send("/closeDetached")
                #expect(try client.receive() == .close(4001, "detached"))
                try client.sendClose(4001)
            }
        }

        @Test(arguments: ServerMode.supervised) func serverClosesAndTheClientNeverAnswers(_ mode: ServerMode) throws {
            try expect("4321 [closed by the server] ", mode, options: ["closeTimeout=100"]) { _, client in
                try client.send("/close 4321 late")
                #expect(try client.receive() == .close(4321, "late"))
                #expect(try client.receive() == .end)
            }
        }

        @Test(arguments: ServerMode.supervised) func codeThatMayNotBeSentIsRefused(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode) { server in
                let client = try WebSocketClient(port: server.port)
                for code in [1004, 1005, 1006, 1015, 2999, 5000] {
                    #expect(try client.ask("/close \(code)") == "refused", "\(code)")
                }
                #expect(try client.ask("still there") == "still there")
            }
        }

        @Test(arguments: ServerMode.supervised) func unmaskedFrame(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(1, [65], masked: false)
                guard case .close(1002, _) = try client.receive() else {
                    Issue.record("no close frame with code 1002")
                    return
                }
                #expect(try server.line("close").hasPrefix("close \(client.fd) 1002 [protocol error] "))
            }
        }

        @Test(arguments: ServerMode.supervised) func textThatIsNotUTF8(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(1, [0xC0, 0x80])
                guard case .close(1007, _) = try client.receive() else {
                    Issue.record("no close frame with code 1007")
                    return
                }
                let line = try server.line("close")
                #expect(line.hasPrefix("close \(client.fd) 1007 [protocol error] "))
                #expect(!line.hasSuffix("] "), "says what was wrong")
            }
        }

        @Test(arguments: ServerMode.supervised) func serverStops(_ mode: ServerMode) throws {
            try expect("1001 [server shutdown] server shutdown", mode) { server, client in
                server.signal(15)
                guard case .close(1001, _) = try client.receive() else {
                    Issue.record("no close frame with code 1001")
                    return
                }
                try client.sendClose(1001)
                #expect(try server.waitForEnd() == .exit(0))
            }
        }

        @Test(arguments: ServerMode.supervised) func plainHTTPHasNoOpenAndNoClose(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode) { server in
                let connection = try Connection(port: server.port)
                let fd = try connection.get("/fd").body
                let refused = try Connection(port: server.port)
                let handshake = WebSocketClient.handshake.replacing("Version: 13", with: "Version: 12")
                try refused.send(handshake)
                #expect(try refused.takeResponse().status == 426)
                connection.disconnect()
                refused.disconnect()
                let client = try WebSocketClient(port: server.port)
                try Wait.until("connection \(fd) to be gone") { try client.ask("/exists \(fd)") == "false" }
                try server.stop()
                #expect(server.lines("open").count == 1)
                #expect(server.lines("close").count == 1)
            }
        }

        /// Its handler is suspended when the client leaves: onClose waits for it.
        @Test(arguments: ServerMode.supervised) func closeWaitsForTheHandlerInProgress(_ mode: ServerMode) throws {
            try ServerProcess.run("async", mode) { server in
                let leaving = try WebSocketClient(port: server.port)
                let other = try WebSocketClient(port: server.port)
                try leaving.send("hold")
                try leaving.sendClose(1000)
                guard case .close = try leaving.receive() else {
                    Issue.record("the close frame was not answered")
                    return
                }
                #expect(try leaving.receive() == .end)
                // Time enough for a close that does not wait.
                #expect(try other.ask("sleep 30") == "slept 30")
                try other.send("first after")
                #expect(try other.receiveText() == "after")
                #expect(server.lines("close").isEmpty)
                #expect(try other.ask("release") == "1 released")
                #expect(try server.line("close") == "close \(leaving.fd) 1000 [closed by the peer]  true")
            }
        }
    }
}
