import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// HTTP and WebSocket on one port, from the client's side.
    @Suite struct EchoTests {
        @Test(arguments: ServerMode.supervised) func requestsAreAnsweredByTheHandler(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let client = try Connection(port: server.port)
                let page = try client.get("/")
                #expect(page.status == 200 && page.body == "hello" && page.all("Content-Type") == ["text/plain"])
                #expect(try client.get("/missing").status == 404)
                #expect(try client.get("/body", method: "POST", body: "some text").body == "some text")
                #expect(try client.get("/query?a=1&b=%C3%A4+x").body == "a=1;b=ä x")
            }
        }

        @Test(arguments: ServerMode.supervised) func withoutHandlerRequestsGetA400Page(_ mode: ServerMode) throws {
            try ServerProcess.run(.noRequest, mode) { server in
                let response = try Connection(port: server.port).get("/")
                #expect(response.status == 400)
                #expect(!response.body.isEmpty)
                let client = try WebSocketClient(port: server.port, welcome: false)
                #expect(try client.ask("still there") == "still there")
            }
        }

        @Test(arguments: ServerMode.supervised) func textAndBinaryComeBack(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("héllo") == "héllo")
                #expect(try client.ask("") == "")
                try client.send(2, [0, 255, 1, 254])
                #expect(try client.receive() == .binary([0, 255, 1, 254]))
            }
        }

        @Test(arguments: ServerMode.supervised) func borrowedBytesComeBack(_ mode: ServerMode) throws {
            try ServerProcess.run(.span, mode) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("héllo") == "héllo")
                try client.send(2, [0, 255])
                #expect(try client.receive() == .binary([0, 255]))
                try client.send(2, [])
                #expect(try client.receive() == .binary([]))
            }
        }

        @Test(arguments: ServerMode.supervised, [Scenario.general, .span, .async])
        func largestMessageComesBack(_ mode: ServerMode, _ scenario: Scenario) throws {
            try ServerProcess.run(scenario, mode) { server in
                let client = try WebSocketClient(port: server.port)
                let message = (0..<1 << 20).map { UInt8(truncatingIfNeeded: $0 &* 7 + $0 >> 8) }
                try client.send(2, message)
                let isSame = try client.receive() == .binary(message)
                #expect(isSame)
                #expect(try client.ask("next") == "next")
            }
        }

        @Test(arguments: ServerMode.supervised) func tooLargeMessageEndsTheConnection(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, { $0.maxMessage = 2048 }) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(2, [UInt8](repeating: 1, count: 2048))
                #expect(try client.receive() == .binary([UInt8](repeating: 1, count: 2048)))
                try client.send(2, [UInt8](repeating: 1, count: 2049))
                guard case .close(1009, _) = try client.receive() else {
                    Issue.record("no close frame with code 1009")
                    return
                }
                try server.expectClose(of: client.fd, code: 1009, cause: .protocolError)
            }
        }

        @Test(arguments: ServerMode.supervised) func fragmentsAreOneMessage(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(1, [UInt8]("one ".utf8), final: false)
                try client.send(9, [7])
                try client.send(0, [UInt8]("two ".utf8), final: false)
                try client.send(0, [UInt8]("three".utf8))
                #expect(try client.receive() == .pong([7]))
                #expect(try client.receive() == .text("one two three"))
            }
        }

        @Test(arguments: ServerMode.supervised) func openComesBeforeAMessageInTheSamePacket(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let client = WebSocketClient(try Connection(port: server.port))
                let frame = WebSocketClient.frame(1, [UInt8]("early".utf8))
                try client.connection.send([UInt8](WebSocketClient.handshake.utf8) + frame)
                try client.finishHandshake()
                try client.takeWelcome()
                #expect(try client.receive() == .text("early"))
            }
        }

        @Test func pingIsAnsweredWhileTheHandlerBlocks() throws {
            try ServerProcess.run(.general, .process) { server in
                let client = try WebSocketClient(port: server.port)
                let other = try WebSocketClient(port: server.port)
                try client.send(.block(.milliseconds(700)))
                try server.event(.blocked)
                for sender in [client, other] {
                    try sender.send(9, [1, 2])
                    #expect(try sender.receive() == .pong([1, 2]))
                }
                #expect(try client.answer() == true)
            }
        }

        @Test(arguments: ServerMode.supervised) func messagesInOnePacketAreAnsweredInOrder(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                let client = try WebSocketClient(port: server.port)
                let texts = (0..<500).map { "message \($0)" }
                try client.connection.send(texts.flatMap { WebSocketClient.frame(1, [UInt8]($0.utf8)) })
                for text in texts { #expect(try client.receive() == .text(text)) }
            }
        }
    }
}
