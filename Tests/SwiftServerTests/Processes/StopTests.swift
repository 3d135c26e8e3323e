import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Who may stop which process, and how stops differ. "Checklist" names rows of the behaviours that a server of this
    /// kind is expected to have.
    @Suite struct StopTests {
        /// A supervisor or a terminal says it to each process at once. It is one stop, by the master's order.
        @Test(arguments: ServerMode.supervised) func signalToTheGroupIsOneStopInOrder(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) {
                $0.closeTimeout = .seconds(60)
                $0.shutdownTimeout = .seconds(60)
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                server.signal(SIGTERM, to: -server.pid)
                guard case .close(1001, _) = try client.receive() else {
                    Issue.record("no close frame with code 1001")
                    return
                }
                // Longer than a process holds such a signal; a worker that followed it would be gone by then.
                usleep(500_000)
                try client.sendClose(1001)
                #expect(try client.receive() == .end)
                #expect(try server.waitForEnd() == .exit(0))
                try server.waitForSilence()
                #expect(server.events(.close).count == 1)
                #expect(server.events(.workerStop).count == 2)
                #expect(server.events(.managerStop).count == 1)
                #expect(server.events(.shutdown).count == 1)
                #expect(!server.log.contains("stopping at once"))
            }
        }

        @Test(arguments: ServerMode.supervised) func signalToTheGroupStopsEveryRole(_ mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1, { $0.process = .idle }) { server in
                try server.workerStart(0)
                try server.workerStart(1)
                server.signal(SIGTERM, to: -server.pid)
                #expect(try server.waitForEnd() == .exit(0))
                try server.waitForSilence()
                #expect(server.events(.workerStop).count == 2)
                #expect(server.events(.managerStop).count == 1)
                #expect(!server.log.contains("did not stop in time"))
                #expect(!server.log.contains("stopping at once"))
            }
        }

        /// The worker sees that signal and its manager's order only when it is done.
        @Test(arguments: ServerMode.supervised) func busyWorkerFollowsTheOrder(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) {
                $0.closeTimeout = .milliseconds(1)
                $0.shutdownTimeout = .seconds(60)
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.block(.milliseconds(700)))
                try server.event(.blocked)
                server.signal(SIGTERM, to: -server.pid)
                #expect(try server.waitForEnd() == .exit(0))
                try server.waitForSilence()
                #expect(server.events(.workerStop).count == 1)
                #expect(!server.log.contains("killed"))
            }
        }

        @Test func workerThatIsStoppedIsReplaced() throws {
            try ServerProcess.run(.general, .process, workers: 2) { server in
                let clients = try (0..<4).map { _ in try WebSocketClient(port: server.port) }
                let worker = try server.workerStart(0)
                server.signal(SIGTERM, to: worker)
                #expect(try server.workerStop(0) == worker)
                #expect(try server.workerStart(0, 2) != worker)
                for client in clients { #expect(try client.ask("hello") == "hello") }
            }
        }

        @Test(arguments: ServerMode.supervised) func managerThatIsStoppedStopsTheServer(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2) { server in
                server.signal(SIGTERM, to: try server.process("manager"))
                #expect(try server.waitForEnd() == .exit(0))
                try server.waitForSilence()
                #expect(server.events(.workerStop).count == 2)
                #expect(server.events(.managerStart).count == 1)
                #expect(server.events(.shutdown).count == 1)
            }
        }

        /// Checklist: shutdown, shutdown_in_process, shutdown_with_base_mode, base/shutdown, base/shutdown_single.
        @Test(arguments: ServerMode.supervised, [1, 2])
        func shutdownByEveryWorkerIsOneStop(_ mode: ServerMode, _ workers: Int) throws {
            try ServerProcess.run(.general, mode, workers: workers) { server in
                let clients = try WebSocketClient.ofEveryWorker(workers, port: server.port)
                for client in clients { try client.send(.shutdown) }
                #expect(try server.waitForEnd() == .exit(0))
                try server.waitForSilence()
                #expect(!server.log.contains("stopping at once"))
                #expect(server.events(.workerStop).count == workers)
                guard case .managerStop = server.events.suffix(3).first, case .shutdown = server.events.suffix(2).first
                else {
                    Issue.record("another order: \(server.events)")
                    return
                }
                #expect(server.events.last == .returned)
            }
        }

        /// Checklist: shutdown_in_master, event/shutdown.
        @Test(arguments: ServerMode.supervised) func shutdownInOnStart(_ mode: ServerMode) throws {
            try ServerProcess.run(.briefly, mode) { server in
                #expect(try server.waitForEnd() == .exit(0))
                try server.waitForSilence()
                #expect(server.events(.shutdown).count == 1)
                #expect(server.events(.returned).count == 1)
            }
        }

        /// Checklist: sigint_with_base, sigint_with_process.
        @Test(arguments: ServerMode.supervised) func interruptLogsItsStop(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                server.signal(SIGINT)
                #expect(try server.waitForEnd() == .exit(0))
                try server.waitForSilence()
                #expect(server.events(.workerStop).count == 1)
                #expect(server.events(.shutdown).count == 1)
            }
        }

        /// Checklist: unregistered_signal, ignore_sigpipe.
        @Test(arguments: ServerMode.supervised) func signalsWithoutMeaningAreLogged(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let client = try WebSocketClient(port: server.port)
                for name in ["master", "manager", "worker 0"] {
                    let process = try server.process(name)
                    server.signal(SIGPIPE, to: process)
                    server.signal(SIGIO, to: process)
                    try Wait.until("a line about it") {
                        server.log.contains(
                            "\(name == "worker 0" ? name : "the \(name)") ignores signal \(SIGIO) (I/O possible)"
                        )
                    }
                }
                #expect(try client.ask("hello") == "hello")
                #expect(server.events(.workerStart).count == 1)
            }
        }

        /// Checklist: ignore_sigpipe_2.
        @Test(arguments: ServerMode.supervised) func pushToAClientThatLeftIsNoEnd(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode) { server in
                let gone = try WebSocketClient(port: server.port)
                let client = try WebSocketClient(port: server.port)
                try gone.send(.pushMany(20_000, "something"))
                gone.connection.disconnect()
                try server.event(.close)
                #expect(try client.ask("hello") == "hello")
                #expect(server.events(.workerStart).count == 1)
            }
        }
    }
}
