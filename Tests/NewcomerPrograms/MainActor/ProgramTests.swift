import NewcomerSupport
import SwiftServer
import Testing

@Suite(.serialized) struct MainActorProgramTests {
    @Test func answersToMessages() async throws {
        for (server, answer) in [
            (Programs.room(), "hello"), (Programs.localFunctions(), "you said hello"),
            (Programs.functionsInHandlers(), "now"), (Programs.tasks(), "HELLO"),
            (Programs.tasksWithoutResults(), "100 %"), (Programs.concurrentWork(), "265"),
            (Application().server, "message 1"),
        ] {
            #expect(try await tryOut(server) { try Socket(port: $0).ask("hello") } == answer)
        }
        #expect(try await tryOut(Programs.functionsInHandlers()) { try Socket(port: $0).ask("later") } == "later")
        #expect(
            try await tryOut(Programs.straightLine()) { try Socket(port: $0, path: "/count").ask("a") } == "1: a")
    }

    @Test func globalState() async throws {
        for server in [Programs.functions(), Programs.names()] {
            let before = visitors
            #expect(try await tryOut(server) { try Socket(port: $0).ask("hi") } == "guest \(before + 1): hi")
        }
        #expect(try await tryOut(Programs.functions()) { try get("/x", port: $0).status } == 500)
    }

    @Test func pages() async throws {
        let application = Application()
        let bodies = try await tryOut(application.server) { port in
            [try get("/", port: port).body, try get("/", port: port).body]
        }
        #expect(bodies == ["request 1", "request 2"])
    }

    @Test func streams() async throws {
        let text = try await tryOut(Programs.streams()) { port in
            let client = try RawClient(port: port)
            try client.send("12345")
            return try client.takeText(1)
        }
        #expect(text == "5")
    }
}
