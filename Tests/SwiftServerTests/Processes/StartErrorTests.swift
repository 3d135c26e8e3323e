import SwiftServer
import Testing

extension ProcessTests {
    /// What keeps a server from starting is said before anything was forked.
    @Suite struct StartErrorTests {
        private func expect(
            _ code: String, _ words: [String], _ scenario: String = "general", _ mode: ServerMode = .process,
            workers: Int = 1, _ options: [String] = []
        ) throws {
            let server = try ServerProcess.runFailing(scenario, mode, workers: workers, options)
            #expect(server.end == .exit(3))
            let errors = server.lines("error")
            let message = try #require(errors.first)
            #expect(message.hasPrefix("error \(code): "))
            for word in words { #expect(message.contains(word), "\(message)") }
            // Nobody else was there to say anything.
            #expect(server.lines == ["before the start", message])
            #expect(server.running.isEmpty)
            #expect(server.log.isEmpty)
        }

        @Test(arguments: ServerMode.supervised, [true, false])
        func portInUse(_ mode: ServerMode, _ isShared: Bool) throws {
            let user = try PortUser(shared: isShared)
            for workers in [1, 2] {
                try expect(
                    "bindFailed", ["port \(user.port)", "another program listens there"], "general", mode,
                    workers: workers, ["port=\(user.port)"])
            }
            #expect(!PortUser.canListen(user.port))
        }

        @Test(arguments: ServerMode.supervised) func anotherServerOnThePort(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode, workers: 2) { first in
                try expect(
                    "bindFailed", ["port \(first.port)"], "general", mode, workers: 2, ["port=\(first.port)"])
                #expect(try Connection(port: first.port).get("/").body == "hello")
            }
        }

        @Test(arguments: ["999.1.1.1", "192.0.2.1", "no such host", ""]) func badHost(_ host: String) throws {
            try expect("bindFailed", ["cannot listen on \(host) port"], "general", .process, ["host=\(host)"])
        }

        @Test(arguments: ServerMode.supervised) func badSetting(_ mode: ServerMode) throws {
            try expect("invalidSetting", ["maxMessage", "got 3 bytes"], "general", mode, ["maxMessage=3"])
            try expect("invalidSetting", ["port", "70000"], "general", mode, ["port=70000"])
            try expect("invalidSetting", ["workerCount", "got 0"], "general", mode, workers: 0)
        }

        @Test(arguments: ServerMode.supervised) func missingHandler(_ mode: ServerMode) throws {
            try expect("missingHandler", ["onMessage"], "noMessage", mode)
        }

        @Test(arguments: ["thread", "task"]) func threadsThatRunAlready(_ scenario: String) throws {
            try expect("threadsRunning", ["threads run already", "Task", "DispatchQueue"], scenario)
        }

        @Test(arguments: ServerMode.supervised) func secondStart(_ mode: ServerMode) throws {
            try ServerProcess.run("general", mode, ["again=1"]) { server in
                #expect(try WebSocketClient(port: server.port).ask("hello") == "hello")
                server.signal(15)
                #expect(try server.waitForEnd() == .exit(3))
                try server.waitForSilence()
                #expect(server.lines("returned").count == 1)
                #expect(server.lines("error alreadyStarted:").count == 1)
                #expect(server.lines("managerStart").count == 1)
            }
        }
    }
}
