import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Stops that something holds up: `shutdownTimeout` limits all of it, whatever it is.
    @Suite struct StopLimitTests {
        private func limit(_ configuration: inout Configuration) { configuration.shutdownTimeout = .seconds(1) }

        /// All ends, and the test's patience is much shorter than the alarm of the server.
        private func expectEnd(_ server: ServerProcess, _ code: Int32 = 0) throws {
            #expect(try server.waitForEnd() == .exit(code))
            try server.waitForSilence()
        }

        // MARK: Stopped processes

        @Test(arguments: ServerMode.supervised, ["manager", "worker 0", "task worker 2"])
        func aProcessThatIsSuspendedDoesNotHoldUpAStop(_ mode: ServerMode, _ name: String) throws {
            try ServerProcess.run(.blocking, mode, workers: 2, tasks: 1, limit) { server in
                for id in 0...2 { try server.workerStart(id) }
                let clients = try (0..<4).map { _ in try WebSocketClient(port: server.port) }
                server.signal(SIGSTOP, to: try server.process(name))
                for client in clients { try client.send("hello") }
                server.signal(SIGTERM)
                try expectEnd(server)
                #expect(server.events(.shutdown).count == 1)
                #expect(server.log.contains("did not stop in time"))
            }
        }

        @Test(arguments: ServerMode.supervised) func allChildrenMayBeSuspended(_ mode: ServerMode) throws {
            try ServerProcess.run(.blocking, mode, workers: 2, tasks: 1, limit) { server in
                for id in 0...2 { try server.workerStart(id) }
                for process in server.running where process != server.pid { server.signal(SIGSTOP, to: process) }
                server.signal(SIGTERM)
                try expectEnd(server)
                #expect(server.events(.shutdown).count == 1)
            }
        }

        @Test(arguments: ServerMode.supervised) func aSecondSignalDoesNotWaitForTheLimit(_ mode: ServerMode) throws {
            try ServerProcess.run(.blocking, mode, { $0.shutdownTimeout = .seconds(60) }) { server in
                server.signal(SIGSTOP, to: try server.process("manager"))
                server.signal(SIGTERM)
                try Wait.until("the closed port") { !PortUser.isListening(server.port) || mode == .base }
                usleep(50_000)
                server.signal(SIGTERM)
                try expectEnd(server)
                #expect(server.log.contains("stopping at once"))
            }
        }

        // MARK: Code that does not return

        @Test(
            arguments: ServerMode.supervised, [BlockingPlace.workerStart, .taskWorkerStart, .workerStop, .managerStop])
        func childrenThatBlockAreKilled(_ mode: ServerMode, _ place: BlockingPlace) throws {
            try ServerProcess.run(.blocking, mode, tasks: 1) {
                limit(&$0)
                $0.blocks = place
            } test: { server in
                if place == .workerStart || place == .taskWorkerStart { try server.event(.blocked) }
                server.signal(SIGTERM)
                try expectEnd(server)
                #expect(server.events(.blocked).count == (place == .workerStop ? 2 : 1))
                #expect(server.events(.shutdown).count == 1)
                #expect(server.log.contains("did not stop in time"))
            }
        }

        @Test(arguments: ServerMode.supervised) func aHandlerThatBlocksWithARequestBehindIt(_ mode: ServerMode) throws {
            try ServerProcess.run(.blocking, mode, tasks: 1) {
                limit(&$0)
                $0.blocks = .message
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                let waiting = try Connection(port: server.port)
                try client.send("hello")
                try server.event(.blocked)
                try waiting.sendRequest("/")
                server.signal(SIGTERM)
                try expectEnd(server)
                #expect(server.events(.shutdown).count == 1)
            }
        }

        @Test(arguments: ServerMode.supervised) func aManagerThatBlocksIsKilled(_ mode: ServerMode) throws {
            try ServerProcess.run(.blocking, mode, tasks: 1) {
                limit(&$0)
                $0.blocks = .workerError
            } test: { server in
                server.signal(SIGKILL, to: try server.process("worker 0"))
                try server.event(.blocked)
                server.signal(SIGTERM)
                try expectEnd(server)
                #expect(server.events(.shutdown).count == 1)
            }
        }

        /// The application's code blocks the master itself, which exits with a code of its own.
        @Test(arguments: ServerMode.allCases, [BlockingPlace.start, .beforeShutdown, .shutdown])
        func aMasterThatBlocksExits(_ mode: ServerMode, _ place: BlockingPlace) throws {
            try ServerProcess.run(.blocking, mode, tasks: mode == .single ? 0 : 1) {
                $0.shutdownTimeout = .milliseconds(300)
                $0.blocks = place
            } test: { server in
                if place == .start { try server.event(.blocked) }
                server.signal(SIGTERM)
                try expectEnd(server, 1)
                #expect(server.events(.blocked).count == 1)
                #expect(server.log.contains("the application's code blocks this process"))
            }
        }

        @Test(arguments: ServerMode.allCases, [BlockingPlace.start, .beforeShutdown, .shutdown])
        func aSecondSignalEndsAMasterThatBlocks(_ mode: ServerMode, _ place: BlockingPlace) throws {
            try ServerProcess.run(.blocking, mode) {
                $0.shutdownTimeout = .seconds(60)
                $0.blocks = place
            } test: { server in
                if place == .start { try server.event(.blocked) }
                server.signal(SIGTERM)
                if place != .start { try server.event(.blocked) } else { usleep(50_000) }
                server.signal(SIGTERM)
                try expectEnd(server, 1)
            }
        }

        @Test(arguments: [BlockingPlace.message, .workerStart, .workerStop])
        func aSingleProcessThatBlocksExits(_ place: BlockingPlace) throws {
            try ServerProcess.run(.blocking, .single) {
                $0.shutdownTimeout = .milliseconds(300)
                $0.blocks = place
            } test: { server in
                if place == .message { try WebSocketClient(port: server.port).send("hello") }
                if place != .workerStop { try server.event(.blocked) }
                server.signal(SIGTERM)
                try expectEnd(server, 1)
                #expect(server.events(.blocked).count == 1)
            }
        }

        /// `shutdown()` has the same limit as a signal.
        @Test(arguments: ServerMode.supervised) func aRequestedStopHasTheLimitToo(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 2, limit) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                server.signal(SIGSTOP, to: try server.process("manager"))
                try clients[0].send(.block(.seconds(60)))
                try server.event(.blocked)
                try clients[1].send(.shutdown)
                try expectEnd(server)
                #expect(server.events(.shutdown).count == 1)
            }
        }

        // MARK: Task workers

        /// What the stages before them have used up is not all of the time.
        @Test func taskWorkersHaveTheirPartOfTheTime() throws {
            try ServerProcess.run(.blocking, tasks: 1) {
                $0.shutdownTimeout = .seconds(4)
                $0.blocks = .message
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                try server.workerStart(1)
                try client.send("hello")
                try server.event(.blocked)
                server.signal(SIGTERM)
                try expectEnd(server)
                #expect(server.log.contains("worker 0 (pid"))
                #expect(!server.log.contains("task worker 1 (pid"))
            }
        }
    }
}
