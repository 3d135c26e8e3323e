import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Processes that die, and what takes their place.
    @Suite struct SupervisionTests {
        /// Checklist: name.
        @Test(arguments: ServerMode.supervised) func processesHaveTitlesAndParents(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                #expect(try server.process("master") == server.pid)
                let manager = try server.process("manager")
                let workers = [try server.process("worker 0"), try server.process("worker 1")]
                #expect(server.running == ([server.pid, manager] + workers).sorted())
                #expect(ProcessTable.entry(manager)?.parent == server.pid)
                for worker in workers { #expect(ProcessTable.entry(worker)?.parent == manager) }
                #expect(try server.event(.managerStart).pid == manager)
                #expect(try server.workerStart(0) == workers[0])
                #expect(try server.workerStart(1) == workers[1])
                #expect(ProcessTable.threads(manager) == 1)
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.parents) == Parents(master: server.pid, manager: manager, parent: manager))
            }
        }

        /// The ways in which a worker may end without a request.
        enum Death: String, CaseIterable {
            case killed
            case trapped
            case left

            func happen(to worker: Int32, _ server: ServerProcess, _ client: WebSocketClient) throws {
                switch self {
                case .killed: server.signal(9, to: worker)
                case .trapped: try client.send(.crash)
                case .left: try client.send(.leave(exitCode: 0))
                }
            }
        }

        @Test(arguments: Death.allCases) func connectionsOutliveTheirWorker(_ death: Death) throws {
            try ServerProcess.run(.general, .process, workers: 2) { server in
                let clients = try (0..<6).map { _ in try WebSocketClient(port: server.port) }
                let before = try clients.map { try $0.who() }
                #expect(Set(before).count == 2)
                let worker = try server.workerStart(0)
                let victim = try #require(before.firstIndex(of: WorkerIdentity(id: 0, pid: worker)))
                try death.happen(to: worker, server, clients[victim])
                let successor = try server.workerStart(0, 2)
                for (client, old) in zip(clients, before) {
                    let expected = old.pid == worker ? WorkerIdentity(id: 0, pid: successor) : old
                    #expect(try client.who() == expected)
                }
                try server.stop()
                #expect(server.events(.workerStart).count == 3, "the message that killed it was not served again")
                #expect(!server.events(.workerStop).contains { $0.pid == worker }, "no onWorkerStop after a crash")
                #expect(server.events(.close).count == clients.count)
            }
        }

        @Test func unreadMessagesAreServedByTheSuccessor() throws {
            try ServerProcess.run(.general, .process) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.block(.seconds(60)))
                try server.event(.blocked)
                for index in 0..<200 { try client.send("message \(index)") }
                // A pong comes when the messages before it are in the ring.
                try client.send(9, [1])
                #expect(try client.receive() == .pong([1]))
                server.signal(9, to: try server.workerStart(0))
                for index in 0..<200 { #expect(try client.receive() == .text("message \(index)")) }
            }
        }

        @Test func requestsThatDiedWithTheirWorkerAreAnswered() throws {
            try ServerProcess.run(.general, .process) { server in
                let connection = try Connection(port: server.port)
                try connection.sendRequest(.later(.seconds(60)))
                // Served after it, so the request has been taken.
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hello") == "hello")
                server.signal(9, to: try server.workerStart(0))
                #expect(try connection.takeResponse().status == 500)
                #expect(try client.ask("hello") == "hello")
            }
        }

        @Test(arguments: Death.allCases) func baseModeWorkerTakesItsOwnConnectionsAlong(_ death: Death) throws {
            try ServerProcess.run(.general, .base, workers: 2) { server in
                let pairs = try WebSocketClient.ofEveryWorker(2, port: server.port)
                let worker = try server.workerStart(0)
                try death.happen(to: worker, server, pairs[0])
                #expect(try pairs[0].receive() == .end)
                #expect(try pairs[1].ask("still there") == "still there")
                try server.workerStart(0, 2)
                // The table of connections does not show what is gone.
                try Wait.until("connection \(pairs[0].fd) to be forgotten") {
                    try pairs[1].ask(.exists(pairs[0].fd)) == false
                }
                let again = try WebSocketClient.ofEveryWorker(2, port: server.port)
                #expect(try again[0].who() == WorkerIdentity(id: 0, pid: try server.workerStart(0, 2)))
            }
        }

        @Test func baseModeSuccessorServesWhoWaitsForTheDead() throws {
            try ServerProcess.run(.general, .base) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.block(.seconds(60)))
                try server.event(.blocked)
                let waiting = try Connection(port: server.port)
                try waiting.sendRequest("/")
                server.signal(9, to: try server.workerStart(0))
                #expect(try waiting.takeResponse().body == "hello")
            }
        }

        @Test(arguments: ServerMode.supervised) func workersThatDieAtOnceAreRestartedWithPauses(_ mode: ServerMode)
            throws
        {
            try ServerProcess.run(.dying, mode) { server in
                try server.workerStart(0, 1)
                let first = ContinuousClock.now
                try server.workerStart(0, 5)
                #expect(ContinuousClock.now - first > .milliseconds(500))
                #expect(server.log.contains("ended with exit code 7 in onWorkerStart; starting it again later"))
            }
        }

        @Test func newManagerTakesOver() throws {
            try ServerProcess.run(.general, .process, workers: 2) { server in
                let client = try WebSocketClient(port: server.port)
                let manager = try server.process("manager")
                let workers = [try server.process("worker 0"), try server.process("worker 1")]
                server.signal(9, to: manager)
                try Wait.until("the old workers to end") { !workers.contains { ProcessTable.isRunning($0) } }
                let successor = try #require(try server.event(.managerStart, 2).pid)
                let parents = Parents(master: server.pid, manager: successor, parent: successor)
                #expect(try client.ask(.parents) == parents)
                #expect(try WebSocketClient(port: server.port).ask("hello") == "hello")
                #expect(server.running.count == 4)
                try server.stop()
                #expect(server.events(.managerStop).count == 1)
            }
        }

        @Test func baseModeStopsWithItsManager() throws {
            try ServerProcess.run(.general, .base, workers: 2) { server in
                server.signal(9, to: try server.process("manager"))
                #expect(try server.waitForEnd() == .exit(3))
                try server.waitForSilence()
                #expect(try server.onlyError().code == .system)
                #expect(server.events(.shutdown).count == 1)
            }
        }

        @Test(arguments: ServerMode.supervised) func nothingOutlivesTheMaster(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                _ = try server.process("worker 1")
                server.signal(9)
                #expect(try server.waitForEnd() == .signal(9))
            }
        }

        @Test(arguments: ServerMode.supervised) func asyncHandlerThatTrapsIsSurvived(_ mode: ServerMode) throws {
            try ServerProcess.run(.async, mode) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.crash)
                try server.workerStart(0, 2)
                let next = mode == .process ? client : try WebSocketClient(port: server.port)
                #expect(try next.ask("hello") == "hello")
                #expect(server.log.contains("was killed by signal"))
            }
        }
    }
}
