import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Messages for users reach their connections in all workers, without a cluster, too.
    @Suite struct UserTests {
        private func run(
            _ mode: ServerMode, test: (ServerProcess, WebSocketClient, WebSocketClient) throws -> Void
        ) throws {
            try ServerProcess.run(.broadcast, mode, workers: mode == .single ? 1 : 2) { server in
                let clients =
                    mode == .single
                    ? try (0..<2).map { _ in try WebSocketClient(port: server.port) }
                    : try WebSocketClient.ofEveryWorker(2, port: server.port)
                try test(server, clients[0], clients[1])
            }
        }

        private func bind(_ client: WebSocketClient, _ command: Command) throws {
            let result: String = try client.ask(command)
            #expect(["done", "queued"].contains(result))
        }

        /// What comes next, when the answer to a command does.
        private func expectNothing(_ client: WebSocketClient) throws {
            _ = try client.who()
        }

        @Test(arguments: ServerMode.allCases) func messagesReachEachConnectionOfAUser(_ mode: ServerMode) throws {
            try run(mode) { _, a, b in
                let accepted: PushResult = mode == .single ? .sent : .queued
                try bind(a, .bindUser("alice"))
                try bind(b, .bindUser("alice"))
                let one: (PushResult, String) = try a.askAndReceive(.pushToUser("one", "alice"))
                #expect(one == (accepted, "one"))
                #expect(try b.receiveText() == "one")
                #expect(try b.ask(.pushToUser("two", "alice", exceptSelf: true)) == accepted)
                #expect(try a.receiveText() == "two")
                // Numbers are names, too.
                try bind(b, .unbind)
                try bind(b, .bind(42))
                let three: (PushResult, String) = try b.askAndReceive(.pushToUser("three", "42"))
                #expect(three == (accepted, "three"))
                let four: (PushResult, String) = try b.askAndReceive(.pushToNumber("four", 42))
                #expect(four == (accepted, "four"))
                try expectNothing(a)
                if mode == .single {
                    let again: String = try b.ask(.bindUser("bob"))
                    #expect(again == "bound")
                }
                #expect(try a.ask(.pushToUser("five", "nobody")) == accepted)
            }
        }

        @Test(arguments: ServerMode.allCases) func namesThatAreRefused(_ mode: ServerMode) throws {
            try run(mode) { _, a, _ in
                for name in ["", String(repeating: "x", count: 246)] {
                    let bound: String = try a.ask(.bindUser(name))
                    #expect(bound == "invalid")
                }
                #expect(try a.ask(.pushToUser("one", "")) == PushResult.invalid)
                #expect(try a.ask(.disconnect(user: "bob", 1005, "")) == PushResult.invalid)
                for topic in ["$sws:user:bob", "$sws:all", "$sws:"] {
                    #expect(try a.ask(.subscribe(topic)) == PushResult.invalid)
                    #expect(try a.ask(.publish("one", to: topic)) == PushResult.invalid)
                }
            }
        }

        @Test(arguments: ServerMode.allCases) func aUserIsDisconnected(_ mode: ServerMode) throws {
            try run(mode) { server, a, b in
                try bind(a, .bindUser("alice"))
                try bind(b, .bindUser("alice"))
                let straight = try StraightLineTests.connect(server, "/user?name=alice")
                let bound = try straight.receiveText()
                #expect(["done", "queued"].contains(bound))
                let accepted: PushResult = mode == .single ? .sent : .queued
                #expect(try a.ask(.pushToUser("bye", "alice", exceptSelf: true)) == accepted)
                #expect(try a.ask(.disconnect(user: "alice", 4001, "signed out")) == accepted)
                for client in [b, straight] {
                    #expect(try client.receiveText() == "bye")
                    #expect(try client.receive() == .close(4001, "signed out"))
                    try client.sendClose(4001)
                }
                try server.wait(for: .close(b.fd, 4001, .server, "signed out"))
                try server.wait(for: .handlerEnd(open: 0, code: 4001))
                try expectNothing(a)
            }
        }

        /// Without a cluster it is that of the server.
        @Test func theBroadcastOfACluster() throws {
            try run(.process) { _, a, b in
                let all: (PushResult, String) = try a.askAndReceive(.broadcastToCluster("all"))
                #expect(all == (.queued, "all"))
                #expect(try b.receiveText() == "all")
            }
        }
    }
}
