import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Messages that do not arrive completely.
    @Suite struct UnfinishedMessageTests {
        @Test(arguments: ServerMode.allCases)
        func anUnfinishedMessageIsClosed(_ mode: ServerMode) throws {
            try ServerProcess.run(.echo, mode, { $0.messageTimeout = .milliseconds(300) }) { server in
                let idle = try WebSocketClient(port: server.port, welcome: false)
                let client = try WebSocketClient(port: server.port, welcome: false)
                try client.connection.send(WebSocketClient.frame(1, [1, 2, 3]).dropLast(1))
                #expect(try client.receive() == .close(1008, ""))
                guard case .close(_, 1008, .timeout, let text) = try server.event(.close) else {
                    Issue.record("closed for another cause: \(server.lines)")
                    return
                }
                #expect(text == "the message was not complete in time")
                #expect(try idle.ask("hello") == "hello")
            }
        }
    }
}
