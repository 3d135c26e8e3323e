import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Every close of a WebSocket is reported once, with its reason.
    @Suite struct CloseTests {
        /// Closes a client in some way, and checks that onClose is called once, with `expected`.
        private func expect(
            _ code: UInt16, _ cause: CloseReason.Cause, _ mode: ServerMode, _ scenario: Scenario = .general,
            text: String = "", closeTimeout: Duration = .milliseconds(200),
            when end: (ServerProcess, WebSocketClient) throws -> Void
        ) throws {
            try ServerProcess.run(scenario, mode, { $0.closeTimeout = closeTimeout }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hello") == "hello")
                try end(server, client)
                let event = try server.event(.close)
                // When the server closes, the text is the answer of the client.
                if cause == .server, case .close(let fd, code, cause, _) = event {
                    #expect(fd == client.fd)
                } else {
                    #expect(event == .close(client.fd, code, cause, text))
                }
                if scenario == .async { try server.wait(for: .closeThread(isMain: true)) }
                if server.end == nil { try server.stop() }
                #expect(server.events(.close).count == 1)
            }
        }

        @Test(arguments: ServerMode.supervised, [Scenario.general, .async])
        func clientClosesWithCodeAndReason(_ mode: ServerMode, _ scenario: Scenario) throws {
            try expect(4000, .peer, mode, scenario, text: "bye") { _, client in
                try client.sendClose(4000, "bye")
                guard case .close(4000, _) = try client.receive() else {
                    Issue.record("the close frame was not answered")
                    return
                }
                #expect(try client.receive() == .end)
            }
        }

        @Test(arguments: ServerMode.supervised) func clientClosesWithoutCode(_ mode: ServerMode) throws {
            try expect(1005, .peer, mode) { _, client in
                try client.send(8, [])
                #expect(try client.receive() == .close(1005, ""))
            }
        }

        @Test(arguments: ServerMode.supervised) func clientGoesWithoutAWord(_ mode: ServerMode) throws {
            try expect(1006, .peer, mode) { _, client in client.connection.disconnect() }
        }

        @Test(arguments: ServerMode.supervised) func clientGoesByReset(_ mode: ServerMode) throws {
            try expect(1006, .peer, mode) { _, client in client.connection.reset() }
        }

        @Test(arguments: ServerMode.supervised) func serverCloses(_ mode: ServerMode) throws {
            try expect(4321, .server, mode) { _, client in
                try client.send(.close(4321, "all done"))
                #expect(try client.receive() == .close(4321, "all done"))
                try client.sendClose(4321)
                #expect(try client.receive() == .end)
            }
        }

        @Test(arguments: ServerMode.supervised) func serverClosesFromAnotherThread(_ mode: ServerMode) throws {
            try expect(4001, .server, mode) { _, client in
                try client.send(.closeDetached)
                #expect(try client.receive() == .close(4001, "detached"))
                try client.sendClose(4001)
            }
        }

        @Test(arguments: ServerMode.supervised) func serverClosesAndTheClientNeverAnswers(_ mode: ServerMode) throws {
            try expect(4321, .server, mode, closeTimeout: .milliseconds(100)) { _, client in
                try client.send(.close(4321, "late"))
                #expect(try client.receive() == .close(4321, "late"))
                #expect(try client.receive() == .end)
            }
        }

        @Test(arguments: ServerMode.supervised) func codeThatMayNotBeSentIsRefused(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let client = try WebSocketClient(port: server.port)
                for code: UInt16 in [1004, 1005, 1006, 1015, 2999, 5000] {
                    #expect(try client.ask(.close(code)) == false, "\(code)")
                }
                #expect(try client.ask("still there") == "still there")
            }
        }

        @Test(arguments: ServerMode.supervised) func unmaskedFrame(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(1, [65], masked: false)
                guard case .close(1002, _) = try client.receive() else {
                    Issue.record("no close frame with code 1002")
                    return
                }
                try server.expectClose(of: client.fd, code: 1002, cause: .protocolError)
            }
        }

        @Test(arguments: ServerMode.supervised) func textThatIsNotUTF8(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(1, [0xC0, 0x80])
                guard case .close(1007, _) = try client.receive() else {
                    Issue.record("no close frame with code 1007")
                    return
                }
                let text = try server.expectClose(of: client.fd, code: 1007, cause: .protocolError)
                #expect(!text.isEmpty, "says what was wrong")
            }
        }

        @Test(arguments: ServerMode.supervised) func serverStops(_ mode: ServerMode) throws {
            try expect(1001, .shutdown, mode, text: "server shutdown") { server, client in
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
            try ServerProcess.run(.general, mode) { server in
                let connection = try Connection(port: server.port)
                let fd = ConnectionID(rawValue: try #require(UInt64(try connection.get(.fd).body)))
                let refused = try Connection(port: server.port)
                let handshake = WebSocketClient.handshake.replacing("Version: 13", with: "Version: 12")
                try refused.send(handshake)
                #expect(try refused.takeResponse().status == 426)
                connection.disconnect()
                refused.disconnect()
                let client = try WebSocketClient(port: server.port)
                try Wait.until("connection \(fd) to be gone") { try client.ask(.exists(fd)) == false }
                try server.stop()
                #expect(server.events(.open).count == 1)
                #expect(server.events(.close).count == 1)
            }
        }

        /// Its handler is suspended when the client leaves: onClose waits for it.
        @Test(arguments: ServerMode.supervised) func closeWaitsForTheHandlerInProgress(_ mode: ServerMode) throws {
            try ServerProcess.run(.async, mode) { server in
                let leaving = try WebSocketClient(port: server.port)
                let other = try WebSocketClient(port: server.port)
                try leaving.send(.hold)
                try leaving.sendClose(1000)
                guard case .close = try leaving.receive() else {
                    Issue.record("the close frame was not answered")
                    return
                }
                #expect(try leaving.receive() == .end)
                // Time enough for a close that does not wait.
                #expect(try other.ask(.sleep(.milliseconds(30))) == true)
                #expect(try other.ask("after") == "after")
                #expect(server.events(.close).isEmpty)
                #expect(try other.ask(.release) == 1)
                #expect(try server.event(.close) == .close(leaving.fd, 1000, .peer))
                try server.wait(for: .closeThread(isMain: true))
            }
        }
    }
}
