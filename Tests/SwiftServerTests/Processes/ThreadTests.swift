import SwiftServer
import TestProtocol
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

        static let ways = Command.Way.allCases.filter { $0 != .nested }

        @Test(arguments: ServerMode.supervised, Executor.allCases)
        func asyncHandlersStayOnTheMainThread(_ mode: ServerMode, _ executor: Executor) throws {
            try ServerProcess.run(.async, mode, environment: executor.environment) { server in
                let client = try WebSocketClient(port: server.port)
                for way in ThreadTests.ways + ThreadTests.ways.reversed() {
                    #expect(try client.ask(.hop(way)) == Threads(onMain: [true, true], count: 1), "\(way)")
                }
                #expect(ProcessTable.threads(try server.process("worker 0")) == 1)
            }
        }

        @Test(arguments: ServerMode.supervised, Executor.allCases)
        func masterHasTheSameExecutor(_ mode: ServerMode, _ executor: Executor) throws {
            try ServerProcess.run(.executor, mode, environment: executor.environment) { server in
                let event = try server.event(.executor)
                #expect(event == .executor(isLoop: executor == .loop))
            }
        }

        /// A task that is started without regard to the handler may pass through other threads between its steps.
        @Test(arguments: ServerMode.supervised, Executor.allCases)
        func tasksOfHandlersComeBackToTheMainThread(_ mode: ServerMode, _ executor: Executor) throws {
            try ServerProcess.run(.async, mode, environment: executor.environment) { server in
                let client = try WebSocketClient(port: server.port)
                let threads: Threads = try client.ask(.hop(.nested))
                #expect(threads.onMain == [true, true])
            }
        }

        @Test(arguments: ServerMode.supervised, Executor.allCases)
        func closeHandlersStayOnTheMainThread(_ mode: ServerMode, _ executor: Executor) throws {
            try ServerProcess.run(.async, mode, environment: executor.environment) { server in
                let client = try WebSocketClient(port: server.port)
                try client.sendClose(4000, "x")
                #expect(try server.event(.close) == .close(client.fd, 4000, .peer, "x"))
                try server.wait(for: .closeThread(isMain: true))
            }
        }

        @Test(arguments: ServerMode.supervised) func syncHandlersNeedNoOtherThread(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.threads) == Threads(onMain: [true], count: 1))
            }
        }

        @Test(arguments: ServerMode.supervised, Executor.allCases)
        func mainQueueIsServed(_ mode: ServerMode, _ executor: Executor) throws {
            try ServerProcess.run(.general, mode, environment: executor.environment) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.answer(on: .mainQueue)) == true)
                #expect(try client.ask(.threads) == Threads(onMain: [true], count: 1))
            }
        }

        @Test(arguments: ServerMode.supervised) func otherThreadsMayPush(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.answer(on: .detachedTask)) == false)
                #expect(try client.ask(.answer(on: .globalQueue)) == false)
            }
        }

        /// Connections of one worker: a handler that is suspended holds up its own and no other.
        @Test(arguments: ServerMode.supervised) func suspendedHandlerHoldsUpItsConnectionOnly(_ mode: ServerMode) throws
        {
            try ServerProcess.run(.async, mode) { server in
                let slow = try WebSocketClient(port: server.port)
                let other = try WebSocketClient(port: server.port)
                for command in [Command.hold, .sleep(.milliseconds(20))] { try slow.send(command) }
                for text in ["third", "fourth"] { try slow.send(text) }
                #expect(try other.ask("quick") == "quick")
                #expect(try other.ask(.release) == 1)
                #expect(try slow.answer() == true)
                #expect(try slow.answer() == true)
                #expect(try slow.receiveText() == "third")
                #expect(try slow.receiveText() == "fourth")
            }
        }

        @Test(arguments: ServerMode.supervised) func messagesThatWaitStopTheReading(_ mode: ServerMode) throws {
            try ServerProcess.run(.async, mode) { server in
                let slow = try WebSocketClient(port: server.port)
                let other = try WebSocketClient(port: server.port)
                try slow.send(.hold)
                // Far more than sockets and rings hold: if all of it is taken, it waits in the worker's memory.
                let padding = String(repeating: "A", count: 32 << 10)
                var sent = 0
                var rest: ArraySlice<UInt8> = []
                while sent < 2000 {
                    if rest.isEmpty {
                        let command = Command.pick("\(sent)", padding: padding)
                        rest = WebSocketClient.frame(1, [UInt8](encoded(command).utf8))[...]
                        sent += 1
                    }
                    let count = try slow.connection.sendSome(rest)
                    rest = rest.dropFirst(count)
                    // Nobody takes more, and the other connection shows that the server is awake.
                    if count == 0 {
                        #expect(try other.ask(.sleep(.milliseconds(100))) == true)
                        if case let more = try slow.connection.sendSome(rest), more > 0 {
                            rest = rest.dropFirst(more)
                        } else {
                            break
                        }
                    }
                }
                #expect(sent > 64)
                #expect(sent < 2000, "the server has taken everything")
                #expect(try other.ask(.release) == 1)
                try slow.connection.send(Array(rest))
                #expect(try slow.answer() == true)
                for index in 0..<sent { #expect(try slow.answer() == "\(index)") }
                #expect(try slow.ask("alive") == "alive")
            }
        }
    }
}
