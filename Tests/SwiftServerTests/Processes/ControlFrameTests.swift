import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Close, ping and pong frames that are delivered to handlers.
    @Suite struct ControlFrameTests {
        private func connect(_ server: ServerProcess, port: Int = 0, _ path: String = "/") throws -> WebSocketClient {
            let client = WebSocketClient(try Connection(port: server.ports[port]))
            try client.connection.send(WebSocketClient.handshake(path))
            try client.finishHandshake()
            return client
        }

        @Test(arguments: ServerMode.allCases) func pingsAreAnsweredByTheHandler(_ mode: ServerMode) throws {
            try ServerProcess.run(.control, mode) { server in
                let client = try connect(server)
                for index in 0..<100 {
                    try client.send(9, [UInt8(index)])
                    #expect(try client.receive() == .pong([UInt8(index), UInt8(ascii: "!")]))
                }
                try client.send(10, [UInt8]("beat".utf8))
                #expect(try client.receiveText() == "pong beat")
                // A port without the options answers by itself, and delivers nothing.
                let plain = try connect(server, port: 1)
                try plain.send(10, [1])
                try plain.send(9, [1])
                #expect(try plain.receive() == .pong([1]))
                #expect(try plain.ask("hello") == "hello")
            }
        }

        @Test(arguments: ServerMode.allCases) func closeFramesAreDelivered(_ mode: ServerMode) throws {
            try ServerProcess.run(.control, mode) { server in
                let ends: [(reason: String, answer: TestMessage)] = [
                    ("bye", .close(4000, "")), ("echo", .close(4000, "echo")), ("choose", .close(4321, "chosen")),
                ]
                for (reason, answer) in ends {
                    let client = try connect(server)
                    try client.sendClose(4000, reason)
                    #expect(try client.receive() == answer)
                    #expect(try client.receive() == .end)
                    try server.wait(for: .outcome("close 4000 (\(reason))"))
                    try server.expectClose(code: 4000, cause: .peer)
                }
                let silent = try connect(server)
                try silent.send(8, [])
                #expect(try silent.receive() == .close(1005, ""))
                try server.wait(for: .outcome("close 1005"))
                let late = try connect(server)
                try late.sendClose(4000, "detached")
                guard case .close(4000, _) = try late.receive() else {
                    Issue.record("another answer")
                    return
                }
            }
        }

        @Test(arguments: ServerMode.allCases) func aPushedCloseFrameCloses(_ mode: ServerMode) throws {
            try ServerProcess.run(.control, mode) { server in
                let client = try connect(server)
                #expect(try client.ask("bad") == "invalid invalid closed")
                try client.send("close")
                #expect(try client.receive() == .close(4002, "pushed"))
                try server.wait(for: .outcome("true"))
                try client.sendClose(4002)
                #expect(try client.receive() == .end)
                try server.expectClose(code: 4002, cause: .server)
            }
        }

        @Test(arguments: ServerMode.allCases) func straightLineHandlersReceiveThem(_ mode: ServerMode) throws {
            try ServerProcess.run(.control, mode) { server in
                let client = try connect(server, "/line")
                try client.send(9, [7])
                #expect(try client.receive() == .pong([7]))
                try client.sendClose(4000, "bye")
                #expect(try client.receiveText() == "close close 4000 (bye)")
                #expect(try client.receive() == .close(4000, ""))
                let other = try connect(server, "/line")
                try other.sendClose(4000, "choose")
                #expect(try other.receive() == .close(4321, "chosen"))
            }
        }
    }
}
