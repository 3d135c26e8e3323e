import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Straight-line handlers whose worker ends: another one goes on.
    @Suite struct StraightLineSuccessionTests {
        private func run(
            workers: Int = 1, _ configure: (inout Configuration) -> Void = { _ in },
            test: (ServerProcess) throws -> Void
        ) throws {
            try ServerProcess.run(.straightLine, .process, workers: workers, configure, test: test)
        }

        private func connect(_ server: ServerProcess, _ path: String) throws -> WebSocketClient {
            try StraightLineTests.connect(server, path)
        }

        private func reload(_ server: ServerProcess) throws {
            server.signal(SIGUSR1)
            try server.workerStop(0)
        }

        @Test func aReloadKeepsConnectionsAndMessages() throws {
            try run(workers: 2) { server in
                let clients = try (0..<300).map { _ in try connect(server, "/echo") }
                let before = try clients.map { try $0.who() }
                for client in clients { #expect(try client.ask(.isResumed) == false) }
                server.signal(SIGUSR1)
                for (index, client) in clients.enumerated() { try client.send("message \(index)") }
                for worker in 0..<2 { try server.workerStop(worker) }
                for (index, client) in clients.enumerated() {
                    #expect(try client.receiveText() == "message \(index)")
                    let after = try client.who()
                    #expect(after.id == before[index].id)
                    #expect(after.pid != before[index].pid)
                    #expect(try client.ask(.isResumed) == true)
                }
                #expect(!server.log.contains("in time"))
                for case .handlerEnd(_, let code) in server.events(.handlerEnd) { #expect(code == nil) }
            }
        }

        @Test func aKilledWorkerIsSucceeded() throws {
            try run { server in
                let clients = try (0..<50).map { _ in try connect(server, "/echo") }
                for round in 0..<3 {
                    server.signal(SIGKILL, to: try clients[0].who().pid)
                    for client in clients {
                        #expect(try client.ask("round \(round)") == "round \(round)")
                        #expect(try client.ask(.isResumed) == true)
                    }
                }
            }
        }

        @Test func aHandlerThatNeverReceivesMoves() throws {
            try run({ $0.shutdownTimeout = .seconds(60) }) { server in
                let ticks = try connect(server, "/ticks")
                let sleeps = try connect(server, "/sleeps")
                let before = try ticks.receiveText()
                let asleep = try sleeps.receiveText()
                try reload(server)
                while try ticks.receiveText() == before {}
                #expect(try sleeps.receiveText() != asleep)
            }
        }

        @Test func whoCannotResumeIsClosed() throws {
            try run { server in
                let game = try connect(server, "/game")
                let echo = try connect(server, "/echo")
                try reload(server)
                #expect(try game.receive() == .close(1012, ""))
                #expect(try echo.ask("hello") == "hello")
            }
        }

        @Test func callbacksOfTheSamePortGoOn() throws {
            try run({ $0.hasCallbacks = true }) { server in
                let client = try connect(server, "/other")
                #expect(try client.receiveText() == "callback /other")
                server.signal(SIGUSR1)
                for index in 0..<50 { try client.send("\(index)") }
                for index in 0..<50 { #expect(try client.receiveText() == "callback \(index)") }
                try server.workerStop(0)
                #expect(try client.ask("hello") == "callback hello")
                try client.sendClose(4000)
                try server.event(.close)
            }
        }

        @Test func aConnectionMovesToTheWorkerOfItsUser() throws {
            try run(workers: 2, { $0.dispatch = .byUser }) { server in
                let client = try connect(server, "/echo")
                let worker = try client.who().id
                #expect(try client.ask(.bind(worker == 0 ? 1 : 2)) == true)
                try server.wait(for: .handlerEnd(open: 0, code: nil))
                #expect(try client.who().id == 1 - worker)
                #expect(try client.ask(.isResumed) == true)
                #expect(try client.ask("hello") == "hello")
            }
        }
    }
}
