import SwiftServer
import Testing

extension ProcessTests {
    /// A worker is one thread, whatever its handlers await.
    @Suite struct ThreadTests {
        /// The runtime's hook makes the loop the main actor's executor; without it the main dispatch queue does.
        enum Executor: String, CaseIterable {
            case loop
            case mainQueue

            var environment: [String] { self == .loop ? [] : ["SWIFTSERVER_NO_EXECUTOR_HOOK=1"] }
        }

        static let ways = ["yield", "sleep", "asyncLet", "group", "actor", "continuation"]

        @Test(arguments: ServerMode.supervised, Executor.allCases)
        func asyncHandlersStayOnTheMainThread(_ mode: ServerMode, _ executor: Executor) throws {
            try ServerProcess.run("async", mode, environment: executor.environment) { server in
                let client = try WebSocketClient(port: server.port)
                for way in ThreadTests.ways + ThreadTests.ways.reversed() {
                    let answer = try client.ask("hop \(way)")
                    #expect(answer == "\(way) true true 1")
                }
                #expect(ProcessTable.threads(try server.process("worker 0")) == 1)
            }
        }

        @Test(arguments: ServerMode.supervised, Executor.allCases)
        func masterHasTheSameExecutor(_ mode: ServerMode, _ executor: Executor) throws {
            try ServerProcess.run("executor", mode, environment: executor.environment) { server in
                let expected = executor == .loop ? "the loop" : "the runtime's"
                let line = try server.line("executor")
                #expect(line == "executor is \(expected)")
            }
        }

        /// A task that is started without regard to the handler may pass through other threads between its steps.
        @Test(arguments: ServerMode.supervised, Executor.allCases)
        func tasksOfHandlersComeBackToTheMainThread(_ mode: ServerMode, _ executor: Executor) throws {
            try ServerProcess.run("async", mode, environment: executor.environment) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hop nested").hasPrefix("nested true true "))
            }
        }

        @Test(arguments: ServerMode.supervised, Executor.allCases)
        func closeHandlersStayOnTheMainThread(_ mode: ServerMode, _ executor: Executor) throws {
            try ServerProcess.run("async", mode, environment: executor.environment) { server in
                let client = try WebSocketClient(port: server.port)
                try client.sendClose(4000, "x")
                #expect(try server.line("close") == "close \(client.fd) 4000 [closed by the peer] x true")
            }
        }

        @Test(arguments: ServerMode.supervised) func syncHandlersNeedNoOtherThread(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("/threads") == "true 1")
            }
        }

        @Test(arguments: ServerMode.supervised, Executor.allCases)
        func mainQueueIsServed(_ mode: ServerMode, _ executor: Executor) throws {
            try ServerProcess.run("general", mode, environment: executor.environment) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("/mainQueue") == "from true")
                #expect(try client.ask("/threads") == "true 1")
            }
        }

        @Test(arguments: ServerMode.supervised) func otherThreadsMayPush(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("/detached") == "from false")
                #expect(try client.ask("/thread") == "from false")
            }
        }

        /// Connections of one worker: a handler that is suspended holds up its own and no other.
        @Test(arguments: ServerMode.supervised) func suspendedHandlerHoldsUpItsConnectionOnly(_ mode: ServerMode) throws
        {
            try ServerProcess.run("async", mode) { server in
                let slow = try WebSocketClient(port: server.port)
                let other = try WebSocketClient(port: server.port)
                for text in ["hold", "sleep 20", "third", "fourth"] { try slow.send(text) }
                #expect(try other.ask("quick") == "quick")
                #expect(try other.ask("release") == "1 released")
                #expect(try slow.receiveText() == "released")
                #expect(try slow.receiveText() == "slept 20")
                #expect(try slow.receiveText() == "third")
                #expect(try slow.receiveText() == "fourth")
            }
        }

        @Test(arguments: ServerMode.supervised) func messagesThatWaitStopTheReading(_ mode: ServerMode) throws {
            try ServerProcess.run("async", mode) { server in
                let slow = try WebSocketClient(port: server.port)
                let other = try WebSocketClient(port: server.port)
                try slow.send("hold")
                // Far more than sockets and rings hold: if all of it is taken, it waits in the worker's memory.
                let padding = [UInt8](repeating: 65, count: 32 << 10)
                var sent = 0
                var rest: ArraySlice<UInt8> = []
                while sent < 2000 {
                    if rest.isEmpty {
                        rest = WebSocketClient.frame(1, [UInt8]("first \(sent) ".utf8) + padding)[...]
                        sent += 1
                    }
                    let count = try slow.connection.sendSome(rest)
                    rest = rest.dropFirst(count)
                    // Nobody takes more, and the other connection shows that the server is awake.
                    if count == 0 {
                        #expect(try other.ask("sleep 100") == "slept 100")
                        if case let more = try slow.connection.sendSome(rest), more > 0 {
                            rest = rest.dropFirst(more)
                        } else {
                            break
                        }
                    }
                }
                #expect(sent > 64)
                #expect(sent < 2000, "the server has taken everything")
                #expect(try other.ask("release") == "1 released")
                try slow.connection.send(Array(rest))
                #expect(try slow.receiveText() == "released")
                for index in 0..<sent { #expect(try slow.receiveText() == "\(index)") }
                #expect(try slow.ask("alive") == "alive")
            }
        }
    }
}
