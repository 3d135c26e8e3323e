import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Answers to what a client sent before its end reach it before the end is answered.
    @Suite struct EndOrderTests {
        private typealias Message = WebSocketClient.Message

        private static let styles = [false, true]
        private static let text = WebSocketClient.frame(1, [UInt8]("first".utf8))
        private static let close = WebSocketClient.frame(8, [0x03, 0xE8])

        /// Code and cause of the `count`th close.
        private func close(_ server: ServerProcess, _ count: Int = 1) throws -> (UInt16, CloseReason.Cause) {
            try server.event("close", count) { event in
                if case .close(_, let code, let cause, _) = event { (code, cause) } else { nil }
            }
        }

        /// Sends all of it at once and checks what comes back, and that the end is reported once.
        private func expect(
            _ answers: [Message], _ code: UInt16, _ cause: CloseReason.Cause, _ mode: ServerMode, _ isAsync: Bool,
            _ bytes: [UInt8], endsOutput: Bool = false
        ) throws {
            // Whoever waits for a time limit here finds out: no test has this much patience.
            try ServerProcess.run(.behaviour, mode) {
                $0.isAsync = isAsync
                $0.closeTimeout = .seconds(60)
            } test: { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                try client.connection.send(bytes)
                if endsOutput { client.connection.shutdownOutput() }
                for (index, answer) in answers.enumerated() {
                    let isSame = try client.receive() == answer
                    #expect(isSame, "answer \(index) of \(answers.count)")
                }
                #expect(try client.receive() == .end)
                #expect(!client.connection.wasReset)
                client.connection.disconnect()
                #expect(try close(server) == (code, cause))
                try server.stop()
                #expect(server.events(.close).count == 1)
            }
        }

        @Test(arguments: ServerMode.supervised, styles) func textsAndClose(_ mode: ServerMode, _ isAsync: Bool) throws {
            let second = WebSocketClient.frame(1, [UInt8]("second".utf8))
            try expect(
                [.text("first"), .text("second"), .close(1000, "")], 1000, .peer, mode, isAsync,
                EndOrderTests.text + second + EndOrderTests.close)
        }

        @Test(arguments: ServerMode.supervised, styles)
        func largeMessagesAndClose(_ mode: ServerMode, _ isAsync: Bool) throws {
            let messages = (0..<20).map { [UInt8](repeating: UInt8($0), count: 100_000) }
            let bytes = Array(messages.map { WebSocketClient.frame(2, $0) }.joined())
            try expect(
                messages.map { .binary($0) } + [.close(1000, "")], 1000, .peer, mode, isAsync,
                bytes + EndOrderTests.close)
        }

        /// Input behind a close frame is dropped, and must not turn the end into a reset that loses the answers.
        @Test(arguments: ServerMode.supervised, styles)
        func inputBehindTheCloseFrame(_ mode: ServerMode, _ isAsync: Bool) throws {
            let message = [UInt8](repeating: 1, count: 1_000_000)
            let rest = (0..<40).flatMap { _ in WebSocketClient.frame(2, [UInt8](repeating: 2, count: 5000)) }
            try expect(
                [.binary(message), .close(1000, "")], 1000, .peer, mode, isAsync,
                WebSocketClient.frame(2, message) + EndOrderTests.close + rest)
        }

        @Test(arguments: ServerMode.supervised, styles) func endOfInput(_ mode: ServerMode, _ isAsync: Bool) throws {
            try expect(
                [.text("first")], 1006, .peer, mode, isAsync, EndOrderTests.text, endsOutput: true)
        }

        @Test(arguments: ServerMode.supervised, styles)
        func closeAndEndOfInput(_ mode: ServerMode, _ isAsync: Bool) throws {
            try expect(
                [.text("first"), .close(1000, "")], 1000, .peer, mode, isAsync,
                EndOrderTests.text + EndOrderTests.close, endsOutput: true)
        }

        @Test(arguments: ServerMode.supervised, styles) func illegalFrame(_ mode: ServerMode, _ isAsync: Bool) throws {
            try expect(
                [.text("first"), .close(1002, "")], 1002, .protocolError, mode, isAsync,
                EndOrderTests.text + [0x83, 0x80, 0, 0, 0, 0], endsOutput: true)
        }

        @Test(arguments: ServerMode.supervised, styles) func illegalText(_ mode: ServerMode, _ isAsync: Bool) throws {
            try expect(
                [.text("first"), .close(1007, "")], 1007, .protocolError, mode, isAsync,
                EndOrderTests.text + WebSocketClient.frame(1, [0xC0, 0x80]), endsOutput: true)
        }

        /// The close frame came whole: it counts, also when its sender does not wait for the answers.
        @Test(arguments: ServerMode.supervised, styles)
        func clientThatDoesNotWait(_ mode: ServerMode, _ isAsync: Bool) throws {
            try ServerProcess.run(.behaviour, mode, { $0.isAsync = isAsync }) { server in
                for count in 1...10 {
                    let client = try WebSocketClient(port: server.port, welcome: false)
                    let texts = Array(repeatElement(EndOrderTests.text, count: 50).joined())
                    try client.connection.send(texts + EndOrderTests.close)
                    client.connection.disconnect()
                    #expect(try close(server, count) == (1000, .peer))
                }
            }
        }

        /// A handler that does not return keeps the connection for the time of the setting only.
        @Test(arguments: ServerMode.supervised) func handlerThatDoesNotReturn(_ mode: ServerMode) throws {
            try ServerProcess.run(.behaviour, mode, { $0.isAsync = true }) { server in
                let hold = WebSocketClient.frame(1, [UInt8](encoded(Command.hold).utf8))
                let ends: [([UInt8], Message?)] = [
                    (EndOrderTests.close, .close(1000, "")), ([0x83, 0x80, 0, 0, 0, 0], .close(1002, "")), ([], nil),
                ]
                for (end, answer) in ends {
                    let client = try WebSocketClient(port: server.port, welcome: false)
                    try client.connection.send(hold + end)
                    client.connection.shutdownOutput()
                    if let answer { #expect(try client.receive() == answer) }
                    #expect(try client.receive() == .end)
                }
                #expect(server.events(.close).isEmpty)
                try WebSocketClient(port: server.port, welcome: false).send(.release)
                try server.event(.close, 3)
            }
        }

        /// What is in progress is finished before a stop or a reload, also for a client that has closed already.
        @Test(arguments: ServerMode.supervised, [SIGTERM, SIGUSR1])
        func handlerInProgressAtAStop(_ mode: ServerMode, _ signal: Int32) throws {
            try ServerProcess.run(.behaviour, mode) {
                $0.isAsync = true
                $0.delay = .milliseconds(400)
                $0.closeTimeout = .seconds(60)
                $0.shutdownTimeout = .seconds(60)
            } test: { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                try client.connection.send(EndOrderTests.text + EndOrderTests.close)
                try server.event(.received)
                server.signal(signal)
                #expect(try client.receive() == .text("first"))
                #expect(try client.receive() == .close(1000, ""))
                #expect(try client.receive() == .end)
                #expect(try close(server) == (1000, .peer))
                client.connection.disconnect()
                if signal == SIGTERM { #expect(try server.waitForEnd() == .exit(0)) }
            }
        }

        /// Its successor does not learn of the end; the client must not wait for ever.
        @Test func workerThatDiesWhileTheEndIsPending() throws {
            try ServerProcess.run(.behaviour, .process, { $0.isAsync = true }) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                try client.send(.hold)
                try server.event(.held)
                try client.sendClose(1000)
                server.signal(SIGKILL, to: try server.workerStart(0))
                #expect(try client.receive() == .close(1000, ""))
                #expect(try client.receive() == .end)
                try server.workerStart(0, 2)
                #expect(try close(server) == (1000, .peer))
                #expect(try WebSocketClient(port: server.port, welcome: false).ask("hello") == "hello")
            }
        }
    }
}
