import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Events of the server's life, and the effect of signals on it.
    @Suite struct LifeCycleTests {
        @Test(arguments: ServerMode.supervised) func everyEventComesOnceAndInItsProcess(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                let manager = try server.process("manager")
                let workers = [try server.process("worker 0"), try server.process("worker 1")]
                try server.stop()
                let events = server.events.filter { if case .ready = $0 { false } else { true } }
                let starts = workers.indices.map { Event.workerStart(id: $0, pid: workers[$0]) }
                let stops = workers.indices.map { Event.workerStop(id: $0, pid: workers[$0]) }
                let first: [Event] = [.beforeStart, .managerStart(pid: manager)]
                let last: [Event] = [.managerStop(pid: manager), .shutdown(pid: server.pid), .returned]
                #expect(events.count == 9 && Set(events) == Set(first + starts + stops + last))
                #expect(server.lines.count == 10)
                #expect(events.suffix(3) == last, "first the workers, then the manager, then the master")
            }
        }

        @Test(arguments: ServerMode.supervised, [SIGTERM, SIGINT])
        func signalStopsInOrder(_ mode: ServerMode, _ signal: Int32) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                server.signal(signal)
                for client in clients {
                    guard case .close(1001, _) = try client.receive() else {
                        Issue.record("no close frame with code 1001")
                        return
                    }
                    try client.sendClose(1001)
                    #expect(try client.receive() == .end)
                }
                #expect(try server.waitForEnd() == .exit(0))
            }
        }

        @Test(arguments: ServerMode.supervised) func interruptOfTheWholeGroupIsAStopInOrder(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                let client = try WebSocketClient(port: server.port)
                server.signal(SIGINT, to: -server.pid)
                guard case .close(1001, _) = try client.receive() else {
                    Issue.record("no close frame with code 1001")
                    return
                }
                try client.sendClose(1001)
                #expect(try server.waitForEnd() == .exit(0))
                try server.waitForSilence()
                #expect(server.events(.workerStop).count == 2)
                #expect(server.events(.managerStop).count == 1)
            }
        }

        /// Workers that are not ready for signals yet get them a little later.
        @Test(arguments: ServerMode.supervised) func signalsThatComeEarlyWait(_ mode: ServerMode) throws {
            for _ in 0..<5 {
                try ServerProcess.run(.general, mode, workers: 8) { server in
                    server.signal(SIGINT, to: -server.pid)
                    #expect(try server.waitForEnd() == .exit(0))
                    try server.waitForSilence()
                    #expect(server.events(.workerStop).count == 8)
                    #expect(server.events(.managerStop).count == 1)
                }
            }
        }

        @Test(arguments: ServerMode.supervised) func anyWorkerCanStopTheServer(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.shutdown)
                guard case .close(1001, _) = try client.receive() else {
                    Issue.record("no close frame with code 1001")
                    return
                }
                client.connection.disconnect()
                #expect(try server.waitForEnd() == .exit(0))
            }
        }

        /// The worker is in a handler for longer than any test lasts, and may take that long.
        @Test(arguments: ServerMode.supervised) func secondSignalStopsAtOnce(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, { $0.shutdownTimeout = .seconds(100) }) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.block(.seconds(100)))
                try server.event(.blocked)
                server.signal(SIGTERM)
                server.signal(SIGINT)
                try server.waitForEnd()
                #expect(server.log.contains("stopping at once"))
            }
        }

        @Test(arguments: ServerMode.supervised) func workerThatDoesNotStopInTimeIsKilled(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, { $0.shutdownTimeout = .milliseconds(200) }) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.block(.seconds(100)))
                try server.event(.blocked)
                try server.stop()
                #expect(server.log.contains("did not stop in time and is killed"))
            }
        }

        @Test func reloadReplacesTheWorkersAndKeepsTheConnections() throws {
            try ServerProcess.run(.general, .process, workers: 2) { server in
                let clients = try (0..<6).map { _ in try WebSocketClient(port: server.port) }
                for round in 2...3 {
                    server.signal(SIGUSR1)
                    let workers = try (0..<2).map { try server.workerStart($0, round) }
                    for client in clients {
                        // The last of the old ones may still be at work.
                        try Wait.until("an answer by one of \(workers)") {
                            let worker = try client.who()
                            return workers[worker.id] == worker.pid
                        }
                    }
                    try Wait.until("the end of the reload") {
                        server.log.split(separator: "\n").count { $0.hasSuffix("all workers are reloaded") } == round
                            - 1
                    }
                }
                try server.event(.workerStop, 4)
                #expect(server.running.count == 4)
                #expect(server.events(.close).isEmpty)
            }
        }

        @Test func reloadInBaseModeClosesInOrder() throws {
            try ServerProcess.run(.general, .base, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                server.signal(SIGUSR1)
                for client in clients {
                    guard case .close(1001, _) = try client.receive() else {
                        Issue.record("no close frame with code 1001")
                        return
                    }
                    client.connection.disconnect()
                }
                let workers = try (0..<2).map { try server.workerStart($0, 2) }
                let answers = try WebSocketClient.ofEveryWorker(2, port: server.port).map { try $0.who() }
                #expect(answers == workers.indices.map { WorkerIdentity(id: $0, pid: workers[$0]) })
            }
        }

        @Test(arguments: ServerMode.supervised) func outputIsNeitherLostNorDoubled(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                for client in clients { try client.send(.printLines(300, "some more words")) }
                for client in clients { #expect(try client.answer() == true) }
                #expect(try clients[0].ask(.printUnfinished("a line without an end")) == true)
                for client in clients { client.connection.disconnect() }
                try server.stop()
                for worker in 0..<2 {
                    let expected = (0..<300).map { "line \(worker) \($0) some more words" }
                    #expect(server.lines.filter { $0.hasPrefix("line \(worker) ") } == expected)
                }
                #expect(server.lines.count { $0.contains("a line without an end") } == 1)
                #expect(server.events(.beforeStart).count == 1)
            }
        }
    }
}
