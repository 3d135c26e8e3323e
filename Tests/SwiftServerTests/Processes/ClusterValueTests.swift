import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Values that servers share at one Redis or NATS, and the processes of one server without a cluster.
    @Suite struct ClusterValueTests {
        private func run(
            _ kind: BrokerKind, _ mode: ServerMode,
            test: (any BrokerProcess, [ServerProcess], [WebSocketClient]) throws -> Void
        ) throws {
            let broker = try kind.make()
            let configure: (inout Configuration) -> Void = { $0.cluster = broker.url }
            let workers = mode == .single ? 1 : 2
            try ServerProcess.run(.values, mode, workers: workers, tasks: 1, configure) { one in
                try ServerProcess.run(.values, mode, workers: workers, tasks: 1, configure) { other in
                    let clients = try [one, other].map { try WebSocketClient(port: $0.port) }
                    for client in clients {
                        try Wait.until("a connection") { try ask(client, .text("none")) == .nothing }
                    }
                    try test(broker, [one, other], clients)
                }
            }
        }

        private func ask(_ client: WebSocketClient, _ step: ValueStep, detached: Bool = false) throws -> ValueReport {
            try client.ask(detached ? .valueDetached(step) : .value(step))
        }

        private func failure(_ error: ClusterError) -> ValueReport { ValueReport(error: "\(error)") }

        /// All operations, by two clients of different processes.
        private func operations(_ one: WebSocketClient, _ other: WebSocketClient) throws {
            #expect(try ask(one, .text("key")) == .nothing)
            #expect(try ask(one, .set("key", to: "grün")) == .done)
            #expect(try ask(other, .text("key"), detached: true) == .text("grün"))
            #expect(try ask(other, .set("key", to: "two", if: .absent)) == .notDone)
            #expect(try ask(other, .set("key", to: "two", if: .equals("gr"))) == .notDone)
            #expect(try ask(other, .set("key", to: "", if: .equals("grün")), detached: true) == .done)
            #expect(try ask(one, .text("key")) == .text(""))
            #expect(try ask(one, .number("key")) == failure(.notANumber))
            #expect(try ask(one, .remove("key", if: .equals("x"))) == .notDone)
            #expect(try ask(one, .remove("key", if: .equals(""))) == .done)
            #expect(try ask(other, .remove("key")) == .notDone)

            #expect(try ask(one, .add(40, to: "n")) == .number(40))
            #expect(try ask(other, .add(2, to: "n"), detached: true) == .number(42))
            #expect(try ask(other, .add(Int.max - 42, to: "n")) == .number(Int.max))
            #expect(try ask(one, .add(1, to: "n")) == failure(.notANumber))
            #expect(try ask(one, .number("n")) == .number(Int.max))
            #expect(try one.ask(.post(.who)) == "1" && other.ask(.post(.who)) == "2")

            #expect(try ask(one, .set("brief", to: "x", for: .milliseconds(20))) == .done)
            #expect(try ask(one, .add(1, to: "window", for: .milliseconds(20))) == .number(1))
            try Wait.until("the end of the values") {
                try ask(other, .text("brief")) == .nothing && ask(other, .text("window")) == .nothing
            }
            #expect(try ask(one, .set("lock", to: "one", for: .seconds(3600), if: .absent)) == .done)
            #expect(try ask(other, .set("lock", to: "other", for: .seconds(3600), if: .absent)) == .notDone)

            #expect(try ask(one, .fill("large", 65_536)) == .done)
            #expect(try ask(other, .size("large")) == .number(65_536))
            #expect(try ask(one, .fill("large", 65_537)) == failure(.tooLarge))
            let long = String(repeating: "k", count: 255)
            #expect(try ask(one, .set(long, to: "long")) == .done)
            #expect(try ask(other, .text(long)) == .text("long"))
            for step in [
                ValueStep.text(""), .set(long + "k", to: ""), .set("k", to: "", for: .zero),
                .set("k", to: "", for: .seconds(-1)), .set("k", to: "", for: .seconds(10 * 366 * 86_400)),
            ] {
                #expect(try ask(one, step) == failure(.invalid))
            }
        }

        @Test(arguments: BrokerKind.cases(ServerMode.allCases)) func ofAllServers(
            _ kind: BrokerKind, _ mode: ServerMode
        ) throws {
            try run(kind, mode) { _, _, clients in try operations(clients[0], clients[1]) }
        }

        @Test(arguments: ServerMode.allCases) func ofOneServer(_ mode: ServerMode) throws {
            try ServerProcess.run(.values, mode, workers: mode == .single ? 1 : 2, tasks: 1) { server in
                let clients = try WebSocketClient.ofEveryWorker(mode == .single ? 1 : 2, port: server.port)
                try operations(clients[0], clients[clients.count - 1])
            }
        }

        /// What was answered was done, and nothing was done that was not asked for.
        @Test(arguments: BrokerKind.installed) func killedGateways(_ kind: BrokerKind) throws {
            try run(kind, .process) { broker, servers, clients in
                var (done, asked) = (0, 0)
                for round in 0..<4 {
                    let gateway = try servers[0].process("gateway")
                    for number in 0..<20 {
                        if number == 10 { servers[0].signal(SIGKILL, to: gateway) }
                        asked += 1
                        let report = try ask(clients[0], .add(1, to: "sum"))
                        if report.number != nil { done += 1 } else { #expect(report == failure(.unavailable)) }
                    }
                    try Wait.until("round \(round)") { try ask(clients[0], .number("sum")).number != nil }
                }
                let sum = try #require(try ask(clients[1], .number("sum")).number)
                #expect(done <= sum && sum <= asked && done >= 40)
                broker.kill()
                try Wait.until("the loss of the broker") { try ask(clients[0], .text("sum")) == failure(.unavailable) }
                try broker.start()
                try Wait.until("the broker") { try ask(clients[0], .number("sum")) == .number(sum) }
            }
        }

        /// All but the master, and also by a new program.
        @Test func surviveProcesses() throws {
            try ServerProcess.run(.values, .process, workers: 2, { $0.reload = .newProgram }) { server in
                let client = try WebSocketClient(port: server.port)
                func replaceWorkers(_ action: () throws -> Void) throws {
                    let before = try (0..<2).map { try server.process("worker \($0)") }
                    try action()
                    try Wait.until("new workers") {
                        try (0..<2).allSatisfy { try !before.contains(server.process("worker \($0)")) }
                    }
                }
                #expect(try ask(client, .add(1, to: "sum")) == .number(1))
                for id in 0..<2 { server.signal(SIGKILL, to: try server.process("worker \(id)")) }
                #expect(try ask(client, .add(1, to: "sum")) == .number(2))
                try replaceWorkers { server.signal(SIGUSR1) }
                #expect(try ask(client, .add(1, to: "sum")) == .number(3))
                try replaceWorkers { server.signal(SIGKILL, to: try server.process("manager")) }
                #expect(try ask(client, .add(1, to: "sum")) == .number(4))
            }
        }

        @Test func aFullRoomIsAnError() throws {
            try ServerProcess.run(.values, .process) { server in
                let client = try WebSocketClient(port: server.port)
                var count = 0
                var report = ValueReport.done
                while report == .done, count < 300 {
                    report = try ask(client, .fill("\(count)", 65_536))
                    count += 1
                }
                #expect(report == failure(.full) && count > 250)
                #expect(try ask(client, .remove("0")) == .done)
                #expect(try ask(client, .fill("more", 65_536)) == .done)
            }
        }
    }
}
