import Glibc
import SwiftServer
import Testing

extension ProcessTests {
    /// Answers to what a client sent before its end reach it before the end is answered.
    @Suite struct EndOrderTests {
        private typealias Message = WebSocketClient.Message

        private static let styles = ["", "async=1"]
        private static let text = WebSocketClient.frame(1, [UInt8]("first".utf8))
        private static let close = WebSocketClient.frame(8, [0x03, 0xE8])

        /// Sends all of it at once and checks what comes back, and that the end is reported once.
        private func expect(
            _ answers: [Message], _ event: String, _ mode: ServerMode, _ style: String, _ bytes: [UInt8],
            endsOutput: Bool = false
        ) throws {
            // Whoever waits for a time limit here finds out: no test has this much patience.
            let options = [style, "closeTimeout=60000"]
            try ServerProcess.run("behaviour", mode, options) { server in
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
                #expect(try server.line("close").hasSuffix(event))
                try server.stop()
                #expect(server.lines("close").count == 1)
            }
        }

        @Test(arguments: ServerMode.supervised, styles) func textsAndClose(_ mode: ServerMode, _ style: String) throws {
            let second = WebSocketClient.frame(1, [UInt8]("second".utf8))
            try expect(
                [.text("first"), .text("second"), .close(1000, "")], " 1000 [closed by the peer]", mode, style,
                EndOrderTests.text + second + EndOrderTests.close)
        }

        @Test(arguments: ServerMode.supervised, styles)
        func largeMessagesAndClose(_ mode: ServerMode, _ style: String) throws {
            let messages = (0..<20).map { [UInt8](repeating: UInt8($0), count: 100_000) }
            let bytes = Array(messages.map { WebSocketClient.frame(2, $0) }.joined())
            try expect(
                messages.map { .binary($0) } + [.close(1000, "")], " 1000 [closed by the peer]", mode, style,
                bytes + EndOrderTests.close)
        }

        /// Input behind a close frame is dropped, and must not turn the end into a reset that loses the answers.
        @Test(arguments: ServerMode.supervised, styles)
        func inputBehindTheCloseFrame(_ mode: ServerMode, _ style: String) throws {
            let message = [UInt8](repeating: 1, count: 1_000_000)
            let rest = (0..<40).flatMap { _ in WebSocketClient.frame(2, [UInt8](repeating: 2, count: 5000)) }
            try expect(
                [.binary(message), .close(1000, "")], " 1000 [closed by the peer]", mode, style,
                WebSocketClient.frame(2, message) + EndOrderTests.close + rest)
        }

        @Test(arguments: ServerMode.supervised, styles) func endOfInput(_ mode: ServerMode, _ style: String) throws {
            try expect(
                [.text("first")], " 1006 [closed by the peer]", mode, style, EndOrderTests.text, endsOutput: true)
        }

        @Test(arguments: ServerMode.supervised, styles)
        func closeAndEndOfInput(_ mode: ServerMode, _ style: String) throws {
            try expect(
                [.text("first"), .close(1000, "")], " 1000 [closed by the peer]", mode, style,
                EndOrderTests.text + EndOrderTests.close, endsOutput: true)
        }

        @Test(arguments: ServerMode.supervised, styles) func illegalFrame(_ mode: ServerMode, _ style: String) throws {
            try expect(
                [.text("first"), .close(1002, "")], " 1002 [protocol error]", mode, style,
                EndOrderTests.text + [0x83, 0x80, 0, 0, 0, 0], endsOutput: true)
        }

        @Test(arguments: ServerMode.supervised, styles) func illegalText(_ mode: ServerMode, _ style: String) throws {
            try expect(
                [.text("first"), .close(1007, "")], " 1007 [protocol error]", mode, style,
                EndOrderTests.text + WebSocketClient.frame(1, [0xC0, 0x80]), endsOutput: true)
        }

        /// The close frame came whole: it counts, also when its sender does not wait for the answers.
        @Test(arguments: ServerMode.supervised, styles)
        func clientThatDoesNotWait(_ mode: ServerMode, _ style: String) throws {
            try ServerProcess.run("behaviour", mode, [style]) { server in
                for count in 1...10 {
                    let client = try WebSocketClient(port: server.port, welcome: false)
                    let texts = Array(repeatElement(EndOrderTests.text, count: 50).joined())
                    try client.connection.send(texts + EndOrderTests.close)
                    client.connection.disconnect()
                    #expect(try server.line("close", count).hasSuffix(" 1000 [closed by the peer]"))
                }
            }
        }

        /// A handler that does not return keeps the connection for the time of the setting only.
        @Test(arguments: ServerMode.supervised) func handlerThatDoesNotReturn(_ mode: ServerMode) throws {
            try ServerProcess.run("behaviour", mode, ["async=1"]) { server in
                let hold = WebSocketClient.frame(1, [UInt8]("/hold".utf8))
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
                #expect(server.lines("close").isEmpty)
                try WebSocketClient(port: server.port, welcome: false).send("/release")
                try server.line("close", 3)
            }
        }

        /// What is in progress is finished before a stop or a reload, also for a client that has closed already.
        @Test(arguments: ServerMode.supervised, [SIGTERM, SIGUSR1])
        func handlerInProgressAtAStop(_ mode: ServerMode, _ signal: Int32) throws {
            let options = ["async=1", "delay=400", "closeTimeout=60000", "shutdownTimeout=60000"]
            try ServerProcess.run("behaviour", mode, options) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                try client.connection.send(EndOrderTests.text + EndOrderTests.close)
                try server.line("received")
                server.signal(signal)
                #expect(try client.receive() == .text("first"))
                #expect(try client.receive() == .close(1000, ""))
                #expect(try client.receive() == .end)
                #expect(try server.line("close").hasSuffix(" 1000 [closed by the peer]"))
                client.connection.disconnect()
                if signal == SIGTERM { #expect(try server.waitForEnd() == .exit(0)) }
            }
        }

        /// Its successor does not learn of the end; the client must not wait for ever.
        @Test func workerThatDiesWhileTheEndIsPending() throws {
            try ServerProcess.run("behaviour", .process, ["async=1"]) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                try client.send("/hold")
                try server.line("held")
                try client.sendClose(1000)
                server.signal(SIGKILL, to: try server.number("workerStart 0"))
                #expect(try client.receive() == .close(1000, ""))
                #expect(try client.receive() == .end)
                try server.line("workerStart 0", 2)
                #expect(try server.line("close").hasSuffix(" 1000 [closed by the peer]"))
                #expect(try WebSocketClient(port: server.port, welcome: false).ask("hello") == "hello")
            }
        }
    }
}
