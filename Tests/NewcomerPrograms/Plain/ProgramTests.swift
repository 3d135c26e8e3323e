import NewcomerSupport
import SwiftServer
import Testing

/// Runs the programs. What is compiled only (servers with several processes, whole programs) is beside them.
@MainActor @Suite(.serialized) struct ProgramTests {
    @Test func echoes() async throws {
        for server in [
            Messages.echo(), Messages.echoWithALocalServer(), Messages.borrowedBytes(), Messages.topics(),
        ] {
            #expect(try await tryOut(server) { try Socket(port: $0).ask("hello") } == "hello")
        }
    }

    @Test func answersToMessages() async throws {
        for (server, answer) in [
            (Messages.asynchronous(), "later: hello"), (Messages.tasksInHandlers(), "from a task: hello"),
            (Messages.detachedTasksInHandlers(), "from elsewhere: hello"), (Messages.state(), "guest 1: hello"),
            (Messages.urlSessionStyle(), "what?"), (Functions.localFunctions(), "1"),
            (Functions.controller(), "hello"), (Functions.subclass(), "message 1"), (Processes.tasks(), "done hello"),
            (Processes.results(), "HELLO"), (Processes.connectsToADatabase(), "connected"),
            (Names.tasksByName(), "done hello"), (try Processes.tables(), "1 of 1"),
        ] {
            #expect(try await tryOut(server) { try Socket(port: $0).ask("hello") } == answer)
        }
    }

    @Test func greetings() async throws {
        for (server, greeting, answer) in [
            (Messages.greeting(), "Hello, Ann!", "You said hello"), (Functions.functions(), "Hello!", "hello"),
            (Names.names(), "open", "hello"), (Names.functionsByName(), "Hello!", "hello"),
        ] {
            let texts = try await tryOut(server) { port in
                let socket = try Socket(port: port, path: "/?name=Ann")
                return [try socket.receive(), try socket.ask("hello")]
            }
            #expect(texts == [greeting, answer])
        }
    }

    @Test func severalMessages() async throws {
        let texts = try await tryOut(Messages.checkedPush()) { port in
            let socket = try Socket(port: port)
            return [try socket.ask("hello"), try socket.receive(), try socket.receive()]
        }
        #expect(texts == ["hello", "sent", "and more"])
        #expect(try await tryOut(Messages.urlSessionStyle()) { try Socket(port: $0).ask("fetch") } == "fetched page")
        #expect(try await tryOut(Processes.timers()) { try Socket(port: $0).receive() } == "tick")
    }

    @Test func errors() async throws {
        for server in [Messages.throwing(), Messages.throwingAndAsynchronous()] {
            let (texts, page, error) = try await tryOut(server) { port in
                let socket = try Socket(port: port)
                return (
                    [try socket.ask("4"), try socket.ask("four")], try get("/?number=2", port: port).status,
                    try get("/error", port: port).status
                )
            }
            #expect(texts == ["8", "closed 1011"] && page == 200 && error == 500)
        }
        let server = Processes.failingStart()
        let error = await #expect(throws: ServerError.self) {
            try await tryOut(server) { _ in }
        }
        #expect(error?.code == .handlerFailed && error?.message == "onWorkerStart has failed: Refused()")
        let misspelt = await #expect(throws: ServerError.self) { try await tryOut(Names.misspelt()) { _ in } }
        #expect(misspelt?.message.contains("did you mean \"message\"?") == true)
    }

    @Test func pages() async throws {
        for (server, path, status, body) in [
            (Messages.json(), "/a", 200, "{\"path\": \"/a\"}"), (Messages.answers(), "/", 200, "home"),
            (Messages.answers(), "/slow", 200, "slow"), (Messages.answers(), "/x", 404, "no such page"),
            (Messages.laterAnswers(), "/", 200, "at once"), (Messages.laterAnswers(), "/wait", 200, "now"),
            (Messages.straightLine(), "/", 200, "<h1>Hello</h1>"), (Functions.functions(), "/p", 200, "page /p"),
            (Functions.asynchronousFunctions(), "/", 200, "slow page"), (Names.names(), "/", 200, "by name"),
            (Functions.asynchronousFunctions(), "/error", 500, "Internal Server Error\n"),
            (Functions.localFunctions(), "/", 200, "0"),
            (Functions.controller(), "/", 200, "0 members"),
        ] as [(HTTPServer, String, Int, String)] {
            let answer = try await tryOut(server) { try get(path, port: $0) }
            #expect(answer.status == status && answer.body == body)
        }
        #expect(
            try await tryOut(Messages.straightLine()) { try Socket(port: $0, path: "/ws").ask("Ann") } == "Hello Ann")
    }

    @Test func streams() async throws {
        for (server, answer) in [
            (Streams.echo(), "hello"), (Streams.borrowedBytes(), "hello"), (Streams.backPressure(), "hello"),
            (Functions.streamFunction(), "hello"), (Functions.taskFunction(), "done"), (Streams.throwing(), "ok"),
            (Streams.closing(), ""), (Streams.asynchronous(), "220 ready\r\n"),
            (Names.streamsByName(), "hello hello"),
        ] {
            let text = try await tryOut(server) { port in
                let client = try RawClient(port: port)
                try client.send("hello")
                return try client.takeText(answer.utf8.count)
            }
            #expect(text == answer)
        }
        let rest = try await tryOut(Streams.closing()) { port in
            let client = try RawClient(port: port)
            try client.send("hello")
            return try client.takeRest()
        }
        #expect(rest == "")
        let lines = try await tryOut(Streams.lines()) { port in
            let client = try RawClient(port: port)
            try client.send("a\nb\n")
            return try client.takeText(22)
        }
        #expect(lines == "hello\nline: a\nline: b\n")
    }

    @Test func severalPorts() async throws {
        let server = Streams.severalPorts()
        let (tcp, http, other) = (server.ports[1], server.ports[2], server.ports[3])
        let texts = try await tryOut(server) { port in
            let socket = try Socket(port: port)
            let first = try Socket(port: other.port)
            let greeting = try first.receive()
            let admin = try RawClient(port: tcp.port)
            let count = try admin.takeText(2)
            try admin.send("news")
            return [
                try socket.receive(), greeting, try first.receive(), try get("/", port: http.port).body, count,
                try socket.ask("hello"), try first.ask("hello"),
            ]
        }
        #expect(texts == ["news", "other", "news", "page", "3\n", "hello", "other hello"])
    }

    /// Programs of several processes start in a process of their own; their handlers are all registered.
    @Test func programsOfSeveralProcesses() {
        #expect(Processes.lifeCycle().handles(.workerError) && Processes.processes().handles(.pipeMessage))
        #expect(Streams.datagrams().ports[1].handles(.packet) && Streams.nothing().handles(.receive))
    }
}
