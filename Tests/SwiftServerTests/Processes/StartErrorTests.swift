import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// What keeps a server from starting is said before anything was forked.
    @Suite struct StartErrorTests {
        private func expect(
            _ code: ServerError.Code, _ words: [String], _ scenario: Scenario = .general, _ mode: ServerMode = .process,
            workers: Int = 1, _ configure: (inout Configuration) -> Void = { _ in }
        ) throws {
            let server = try ServerProcess.runFailing(scenario, mode, workers: workers, configure)
            #expect(server.end == .exit(3))
            let error = try server.onlyError()
            #expect(error.code == code)
            for word in words { #expect(error.message.contains(word), "\(error.message)") }
            // Nobody else was there to report anything.
            #expect(server.events == [.beforeStart, .error(error.code, error.message)] && server.lines.count == 2)
            #expect(server.running.isEmpty)
            #expect(server.log.isEmpty)
        }

        @Test(arguments: ServerMode.supervised, [true, false])
        func portInUse(_ mode: ServerMode, _ isShared: Bool) throws {
            let user = try PortUser(shared: isShared)
            for workers in [1, 2] {
                try expect(
                    .bindFailed, ["port \(user.port)", "another program listens there"], .general, mode,
                    workers: workers
                ) { $0.port = user.port }
            }
            #expect(PortUser.isListening(user.port))
        }

        @Test(arguments: ServerMode.supervised) func anotherServerOnThePort(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { first in
                try expect(.bindFailed, ["port \(first.port)"], .general, mode, workers: 2) { $0.port = first.port }
                #expect(try Connection(port: first.port).get("/").body == "hello")
            }
        }

        @Test(arguments: ["999.1.1.1", "192.0.2.1", "no such host", ""]) func badHost(_ host: String) throws {
            try expect(.bindFailed, ["cannot listen on \(host) port"]) { $0.host = host }
        }

        @Test(arguments: ServerMode.supervised) func badSetting(_ mode: ServerMode) throws {
            try expect(.invalidSetting, ["maxMessage", "got 3 bytes"], .general, mode) { $0.maxMessage = 3 }
            try expect(.invalidSetting, ["port", "70000"], .general, mode) { $0.port = 70_000 }
            try expect(.invalidSetting, ["workerCount", "got 0"], .general, mode, workers: 0)
        }

        @Test(arguments: ServerMode.supervised) func missingHandler(_ mode: ServerMode) throws {
            try expect(.missingHandler, ["onMessage"], .noMessage, mode)
        }

        @Test(arguments: [Scenario.thread, .task]) func threadsThatRunAlready(_ scenario: Scenario) throws {
            try expect(.threadsRunning, ["threads run already", "Task", "DispatchQueue"], scenario)
        }

        /// The lookup of a name starts threads, which cannot be forked.
        @Test func clientsBeforeTheStart() throws {
            try expect(.threadsRunning, ["threads run already", "a client that looks up a host name"], .nameClient)
            try ServerProcess.run(.addressClient) { server in
                let answer = try WebSocketClient(port: server.port, welcome: false).ask("hello")
                #expect(answer == "hello")
            }
        }

        @Test(arguments: ServerMode.supervised) func secondStart(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, { $0.startsTwice = true }) { server in
                #expect(try WebSocketClient(port: server.port).ask("hello") == "hello")
                server.signal(15)
                #expect(try server.waitForEnd() == .exit(3))
                try server.waitForSilence()
                #expect(server.events(.returned).count == 1)
                #expect(try server.onlyError().code == .alreadyStarted)
                #expect(server.events(.managerStart).count == 1)
            }
        }
    }
}
