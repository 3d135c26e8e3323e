import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Messages between processes. Comments name the test cases of Swoole that a test repeats.
    @Suite struct PipeMessageTests {
        private func message(
            _ server: ServerProcess, from sender: Int, to receiver: Int, _ count: Int = 1
        ) throws -> Event {
            try server.event("a message to \(receiver)", count) {
                if case .message(receiver, sender, _, _) = $0 { $0 } else { nil }
            }
        }

        /// sendMessage_1 to _4, sendMessage_in_manager
        @Test(arguments: ServerMode.supervised) func allProcessesExchangeMessages(_ mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, workers: 2, tasks: 2) {
                $0.process = .idle
                $0.postsEarly = true
            } test: { server in
                _ = try server.event("a message of the master") {
                    if case .message(0, -1, _, _) = $0 { $0 } else { nil }
                }
                let client = try WebSocketClient(port: server.port)
                let own = try client.who().id
                for other in 0...4 where other != own {
                    let question = PipeMessage.ask(other)
                    #expect(try client.ask(.sendMessage(question, to: other)) == PushResult.queued)
                    let size = encoded(question).utf8.count
                    #expect(
                        try message(server, from: own, to: other)
                            == .message(to: other, from: own, size: size, question))
                    guard case .message(_, _, _, .answer(other)) = try message(server, from: other, to: own) else {
                        Issue.record("another message: \(server.events)")
                        return
                    }
                }
                #expect(try client.ask(.sendMessage(.text("me"), to: own)) == PushResult.invalid)
                #expect(try client.ask(.sendMessage(.text("nobody"), to: 5)) == PushResult.invalid)
            }
        }

        /// bigPipeMessage, memory_leak/pipe_message
        @Test func messagesMayBeLarge() throws {
            try ServerProcess.run(.tasks, .process, workers: 1, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                let receiver = try server.process("task worker 1")
                for n in 1...5 {
                    #expect(try client.ask(.sendLargeMessage(to: 1)) == PushResult.queued)
                    let text = PipeMessage.text("xxxxxxxx")
                    #expect(try message(server, from: 0, to: 1, n) == .message(to: 1, from: 0, size: 800_000, text))
                }
                let before = ProcessTable.residentPages(receiver)
                for n in 6...30 {
                    #expect(try client.ask(.sendLargeMessage(to: 1)) == PushResult.queued)
                    _ = try message(server, from: 0, to: 1, n)
                }
                #expect(ProcessTable.residentPages(receiver) < before + 1024)
            }
        }
    }
}
