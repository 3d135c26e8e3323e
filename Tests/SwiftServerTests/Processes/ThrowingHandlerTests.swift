import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// An error that a handler throws is logged, and ends what the handler was called for.
    @Suite struct ThrowingHandlerTests {
        private struct Kind: Sendable, CustomStringConvertible {
            let isAsync: Bool
            let word: String
            var description: String { "\(isAsync) \(word)" }
        }

        private static let kinds = [
            Kind(isAsync: false, word: "throw"), Kind(isAsync: true, word: "throw"),
            Kind(isAsync: true, word: "throw later"),
        ]

        private func run(
            _ mode: ServerMode, isAsync: Bool, tasks: Int = 0, _ configure: (inout Configuration) -> Void = { _ in },
            _ test: (ServerProcess) throws -> Void
        ) throws {
            try ServerProcess.run(.throwing, mode, tasks: tasks) {
                $0.isAsync = isAsync
                configure(&$0)
            } test: { server in
                try test(server)
            }
        }

        private func waitForLog(_ server: ServerProcess, _ line: String) throws {
            try Wait.until("\(line) in the log") { server.log.contains(line) }
        }

        @Test(arguments: ServerMode.supervised, ThrowingHandlerTests.kinds)
        private func aMessageClosesItsConnection(_ mode: ServerMode, _ kind: Kind) throws {
            try run(mode, isAsync: kind.isAsync) { server in
                let (client, other) = (try WebSocketClient(port: server.port), try WebSocketClient(port: server.port))
                try client.send(kind.word)
                #expect(try client.receive() == .close(1011, ""))
                try waitForLog(
                    server, "worker 0: onMessage of connection \(client.fd) has failed: refused \(kind.word)\n")
                try client.sendClose(1011)
                try server.expectClose(of: client.fd, code: 1011)
                try waitForLog(
                    server, "onClose of connection \(client.fd) has failed: refused throw in onClose")
                #expect(try other.ask("hello") == "hello")
            }
        }

        @Test(arguments: ServerMode.supervised, ThrowingHandlerTests.kinds)
        private func anOpenClosesItsConnection(_ mode: ServerMode, _ kind: Kind) throws {
            try run(mode, isAsync: kind.isAsync) { server in
                let word = kind.word.split(separator: " ").joined(separator: "%20")
                let client = WebSocketClient(try Connection(port: server.port))
                let handshake = WebSocketClient.handshake.replacing("/chat?room=1", with: "/?word=\(word)")
                try client.connection.send(handshake)
                try client.finishHandshake()
                #expect(try client.receive() == .close(1011, ""))
                try waitForLog(server, "worker 0: onOpen of connection ")
                try waitForLog(server, " has failed: refused \(kind.word)\n")
            }
        }

        @Test(arguments: ServerMode.supervised, ThrowingHandlerTests.kinds)
        private func aRequestIsAnsweredWith500(_ mode: ServerMode, _ kind: Kind) throws {
            try run(mode, isAsync: kind.isAsync) { server in
                let word = kind.word.split(separator: " ").joined(separator: "%20")
                let client = try Connection(port: server.port)
                #expect(try client.get("/?word=\(word)").status == 500)
                #expect(try client.get("/").body == "hello", "the connection is still there")
                try waitForLog(server, "worker 0: onRequest of connection ")
                try waitForLog(server, " has failed: refused \(kind.word)\n")
                // A response that has begun must not look complete.
                let other = try Connection(port: server.port)
                try other.sendRequest("/begun?word=\(word)")
                let rest = String(decoding: try other.takeRest(), as: UTF8.self)
                #expect(!rest.hasSuffix("0\r\n\r\n"), "\(rest)")
            }
        }

        @Test(arguments: ServerMode.supervised, ThrowingHandlerTests.kinds)
        private func aStreamIsClosed(_ mode: ServerMode, _ kind: Kind) throws {
            try run(mode, isAsync: kind.isAsync) { server in
                let client = try Connection(port: server.ports[1])
                try client.send("hello")
                #expect(try client.take(5) == [UInt8]("hello".utf8))
                try client.send(kind.word)
                #expect(try client.takeRest().isEmpty)
                try waitForLog(server, "worker 0: onReceive of connection ")
                try waitForLog(server, " has failed: refused \(kind.word)\n")
                let refused = try Connection(port: server.ports[2])
                #expect(try refused.takeRest().isEmpty)
                try waitForLog(server, "worker 0: onConnect of connection ")
            }
        }

        @Test(arguments: ServerMode.supervised, ThrowingHandlerTests.kinds)
        private func aDatagramIsOnlyLogged(_ mode: ServerMode, _ kind: Kind) throws {
            try run(mode, isAsync: kind.isAsync) { server in
                let client = try Connection.datagrams(port: server.ports[3])
                try client.send(kind.word)
                try waitForLog(server, "worker 0: onPacket has failed: refused \(kind.word)\n")
                try client.send("hello")
                #expect(try client.take(5) == [UInt8]("hello".utf8))
            }
        }

        /// Also while an asynchronous handler of the connection is suspended, when the handler is called later.
        @Test(arguments: ServerMode.supervised) func handlersOfBorrowedBytes(_ mode: ServerMode) throws {
            try run(mode, isAsync: false, { $0.usesSpans = true }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hello") == "hello")
                try client.send("throw")
                #expect(try client.receive() == .close(1011, ""))
                try waitForLog(server, "onMessage of connection \(client.fd) has failed: refused throw")
                let stream = try Connection(port: server.ports[4])
                try stream.send("hello")
                #expect(try stream.take(5) == [UInt8]("hello".utf8))
                try stream.send("throw")
                #expect(try stream.takeRest().isEmpty)
                try waitForLog(server, "onReceive of connection ")
            }
        }

        @Test(arguments: ServerMode.supervised) func handlersOfProcesses(_ mode: ServerMode) throws {
            try run(mode, isAsync: false, tasks: 1) { server in
                try waitForLog(server, "] error: onStart has failed: refused throw in onStart\n")
                try waitForLog(server, "] error: onManagerStart has failed: refused throw in onManagerStart\n")
                let client = try WebSocketClient(port: server.port)
                for word in ["task", "finish", "pipe", "timer"] { #expect(try client.ask(word) == word) }
                try waitForLog(server, "worker 0: onTaskError has failed: refused throw in onTaskError\n")
                try waitForLog(server, "worker 0: onFinish has failed: refused throw in onFinish\n")
                try waitForLog(server, "onPipeMessage has failed: refused throw in onPipeMessage\n")
                try waitForLog(server, "error: timer ")
                try waitForLog(server, " has failed: refused throw in a timer\n")
                try server.stop()
                #expect(server.log.contains("worker 0: onWorkerStop has failed: refused throw in onWorkerStop\n"))
            }
        }

        /// Nothing that comes too late is ignored in silence.
        @Test(arguments: ServerMode.supervised) func lateChangesAreLogged(_ mode: ServerMode) throws {
            try run(mode, isAsync: false) { server in
                #expect(try WebSocketClient(port: server.port).ask("late") == "late")
                for change in ["settings", "tls", "settings of a port", "onOpen", "onRequest", "a handler for /late"] {
                    try waitForLog(server, "error: cannot set \(change) after start(), which has read")
                }
                // They have no effect either.
                #expect(try WebSocketClient(port: server.port).ask("hello") == "hello")
            }
        }

        /// What a client has caused is reported to it and not to the log.
        @Test(arguments: ServerMode.supervised) func mistakesOfClients(_ mode: ServerMode) throws {
            try run(mode, isAsync: false) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send("client")
                #expect(try client.receive() == .close(1007, "mind the form"))
                let answer = try Connection(port: server.port).get("/client")
                #expect(answer.status == 400 && answer.body == "mind the form")
                #expect(!server.log.contains("mind the form") && !server.log.contains("ClientMistake"))
            }
        }

        @Test(arguments: ServerMode.supervised, [false, true])
        func aWorkerThatCannotStartIsStartedAgain(_ mode: ServerMode, _ isAsync: Bool) throws {
            try run(mode, isAsync: isAsync, { $0.failingStarts = 2 }) { server in
                try server.workerStart(0)
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hello") == "hello")
                for start in 1...2 {
                    try waitForLog(server, "worker 0: onWorkerStart has failed: refused throw in start \(start)")
                }
                #expect(!server.log.contains("start 3") && server.starts(of: 0) == 1)
            }
        }
    }
}
