import Foundation
import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// A reload lets the old process serve until its successor has finished `onWorkerStart`.
    @Suite struct SuccessorTests {
        private func run(
            _ mode: ServerMode, workers: Int = 2, _ configure: (inout Configuration) -> Void = { _ in },
            test: (ServerProcess, _ order: (StartOrder) throws -> Void) throws -> Void
        ) throws {
            let folder = try Folder()
            try ServerProcess.run(.successor, mode, workers: workers, tasks: 1) {
                $0.orders = folder.file("order")
                configure(&$0)
            } test: { server in
                for id in 0...workers { try server.workerStart(id) }
                try test(server) { order in
                    let file = URL(fileURLWithPath: folder.file("order"))
                    try Data(order.rawValue.utf8).write(to: file, options: .atomic)
                }
            }
        }

        private func processes(_ server: ServerProcess) throws -> [Int32] {
            try ["worker 0", "worker 1", "task worker 2"].map(server.process)
        }

        @Test(arguments: ServerMode.supervised) func anErrorInTheSuccessorAbortsTheReload(_ mode: ServerMode) throws {
            try run(mode) { server, order in
                let before = try processes(server)
                let client = try WebSocketClient(port: server.port)
                try order(.fail)
                server.signal(SIGUSR1)
                try server.event(.afterReload)
                #expect(server.log.contains("worker 0 cannot start: onWorkerStart has failed: "))
                #expect(server.log.contains("the configuration is broken"))
                #expect(server.log.contains("the reload is aborted, running workers continue"))
                #expect(try processes(server) == before)
                let worker = try client.who()
                #expect(worker.pid == before[worker.id])
            }
        }

        @Test(arguments: ServerMode.supervised, [SIGUSR1, SIGUSR2])
        func aConfigurationThatIsBrokenChangesNothing(_ mode: ServerMode, _ signal: Int32) throws {
            try run(mode) { server, order in
                let clients = try (0..<8).map { _ in try WebSocketClient(port: server.port) }
                let before = try processes(server)
                try order(.crash)
                server.signal(signal)
                try server.event(.afterReload)
                let id = signal == SIGUSR1 ? 0 : 2
                #expect(server.events(.ordered).filter { $0 == .ordered(worker: id, .crash) }.count == 1)
                guard case .workerError(id, _, 9, 0) = try server.event(.workerError) else {
                    Issue.record("no report of the crash")
                    return
                }
                #expect(server.log.contains("ended with exit code 9 in onWorkerStart"))
                #expect(server.log.contains("the reload is aborted, running workers continue"))
                #expect(try processes(server) == before)
                for client in clients {
                    let worker = try client.who()
                    #expect(worker.pid == before[worker.id])
                }
                #expect(server.events(.close).isEmpty)
                try order(.report)
                server.signal(signal)
                try server.event(.afterReload, 2)
                let after = try processes(server)
                #expect(after[2] != before[2])
                #expect((after[0] != before[0] && after[1] != before[1]) == (signal == SIGUSR1))
            }
        }

        /// `onWorkerStart` may take as long as it needs, and another reload ends one that hangs.
        @Test(arguments: ServerMode.supervised) func aSuccessorThatHangsIsReplacedByTheNextReload(_ mode: ServerMode)
            throws
        {
            try run(mode, { $0.shutdownTimeout = .milliseconds(200) }) { server, order in
                let client = try WebSocketClient(port: server.port)
                let before = try processes(server)
                try order(.block)
                server.signal(SIGUSR1)
                try server.wait(for: .ordered(worker: 0, .block))
                try Wait.until("the warning") { server.log.contains("has not finished; the old worker 0 continues") }
                #expect(try processes(server) == before)
                _ = try client.who()
                try order(.report)
                server.signal(SIGUSR1)
                try server.event(.afterReload, 2)
                #expect(Set(try processes(server)).isDisjoint(with: before))
                #expect(server.running.count == 5)
            }
        }

        @Test(arguments: ServerMode.supervised) func aStopDoesNotWaitForASuccessor(_ mode: ServerMode) throws {
            try run(mode) { server, order in
                try order(.block)
                server.signal(SIGUSR1)
                try server.wait(for: .ordered(worker: 0, .block))
                try server.stop()
                #expect(!server.log.contains("did not stop in time"))
            }
        }

        @Test func theOldOneMayDieMeanwhile() throws {
            try run(.process) { server, order in
                let clients = try (0..<8).map { _ in try WebSocketClient(port: server.port) }
                try order(.wait)
                server.signal(SIGUSR1)
                try server.wait(for: .ordered(worker: 0, .wait))
                server.signal(SIGKILL, to: try server.process("worker 0"))
                try server.wait(for: .ordered(worker: 0, .wait), 2)
                try order(.report)
                try server.event(.afterReload)
                for client in clients { _ = try client.who() }
                #expect(server.running.count == 5)
                #expect(server.events(.close).isEmpty)
            }
        }

        // MARK: Asynchronous onWorkerStart

        @Test(arguments: ServerMode.supervised) func aSuccessorThatCrashesLaterChangesNothing(_ mode: ServerMode) throws
        {
            try run(mode, { $0.isAsync = true }) { server, order in
                let clients = try (0..<8).map { _ in try WebSocketClient(port: server.port) }
                let before = try processes(server)
                try order(.crash)
                server.signal(SIGUSR1)
                try server.event(.afterReload)
                #expect(server.log.contains("ended with exit code 9 in onWorkerStart"))
                #expect(try processes(server) == before)
                for client in clients {
                    let worker = try client.who()
                    #expect(worker.pid == before[worker.id])
                }
                #expect(server.events(.close).isEmpty)
            }
        }

        @Test(arguments: ServerMode.supervised) func thePredecessorServesUntilItsSuccessorHasFinished(
            _ mode: ServerMode
        )
            throws
        {
            try run(mode, { $0.isAsync = true }) { server, order in
                let client = try WebSocketClient(port: server.port)
                let before = try processes(server)
                try order(.wait)
                server.signal(SIGUSR1)
                try server.wait(for: .ordered(worker: 0, .wait))
                #expect(try processes(server) == before)
                _ = try client.who()
                try order(.report)
                try server.event(.afterReload)
                #expect(Set(try processes(server)).isDisjoint(with: before))
                if mode == .process { #expect(before.contains(try client.who().pid) == false) }
            }
        }

        @Test func aStopDoesNotWaitForASuccessorThatIsSuspended() throws {
            try run(.process, { $0.isAsync = true }) { server, order in
                try order(.wait)
                server.signal(SIGUSR1)
                try server.wait(for: .ordered(worker: 0, .wait))
                try server.stop()
                #expect(!server.log.contains("did not stop in time"))
            }
        }

        /// Its result can only be received by the process that has the mailbox.
        @Test(arguments: ServerMode.supervised) func aResultThatASuccessorWaitsForArrives(_ mode: ServerMode) throws {
            try run(mode, workers: 1, { $0.isAsync = true }) { server, order in
                try order(.task)
                server.signal(SIGUSR1)
                try server.event(.taskResult)
                try server.event(.afterReload)
                _ = try WebSocketClient(port: server.port).who()
            }
        }

        // MARK: The server in onWorkerStart

        @Test func whatIsPushedInWorkerStartArrives() throws {
            try run(.process, workers: 1) { server, order in
                let client = try WebSocketClient(port: server.port)
                try order(.push)
                server.signal(SIGUSR1)
                #expect(try client.receiveText() == "from 0")
                try server.event(.afterReload)
                try server.wait(for: .ticked(worker: 0))
                #expect(server.events(.pushed).contains(.pushed(worker: 0, .queued)))
            }
        }

        /// Tasks and messages need the mailbox, of which only one process can be the owner.
        @Test(arguments: ServerMode.supervised) func tasksAndMessagesInWorkerStartAreDelivered(_ mode: ServerMode)
            throws
        {
            try run(mode, workers: 1) { server, order in
                try order(.task)
                server.signal(SIGUSR1)
                try server.event(.taskResult)
                try server.event(.message)
                try server.event(.afterReload)
                #expect(server.events(.sentInStart) == [.sentInStart(.queued)])
            }
        }
    }
}
