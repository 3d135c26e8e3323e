import Foundation
import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// The program's own signals, and calls at unusual places. Comments name the test cases of Swoole that a test
    /// repeats.
    @Suite struct OwnSignalTests {
        private static let processes: [Event.Poster] = [.manager, .worker(0), .worker(1)]

        private func pid(of process: Event.Poster, _ server: ServerProcess) throws -> Int32 {
            try server.event("\(process)") { if case .takesSignals(process, let pid) = $0 { pid } else { nil } }
        }

        /// signal_in_manager, signal_in_manager_2, signal_in_manager_4, signal_in_task_worker, signal
        @Test(arguments: ServerMode.supervised) func everyProcessMayTakeSignals(_ mode: ServerMode) throws {
            try ServerProcess.run(.signals, mode, workers: 1, tasks: 1) { server in
                let pids = try OwnSignalTests.processes.map { try pid(of: $0, server) }
                let client = try WebSocketClient(port: server.port, welcome: false)
                #expect(try client.ask("hello") == "hello")
                for pid in pids {
                    for round in 1...2 {
                        server.signal(SIGWINCH, to: pid)
                        try server.wait(for: .windowSignal(pid: pid), round)
                    }
                    server.signal(SIGCONT, to: pid)
                    try server.wait(for: .ignoresWindowSignals(pid: pid))
                    server.signal(SIGWINCH, to: pid)
                }
                #expect(try client.ask("hello") == "hello")
                #expect(server.events(.windowSignal).count == 6, "\(server.lines)")
            }
        }

        /// signal_in_manager_3
        @Test(arguments: ServerMode.supervised, processes)
        func theirHandlersMayStopTheServer(_ mode: ServerMode, _ process: Event.Poster) throws {
            try ServerProcess.run(.signals, mode, workers: 1, tasks: 1) { server in
                server.signal(SIGURG, to: try pid(of: process, server))
                #expect(try server.waitForEnd() == .exit(0))
                try server.waitForSilence()
                #expect(server.events(.workerStop).count == 2)
            }
        }

        /// stop_in_workerStart
        @Test(arguments: ServerMode.supervised) func aWorkerMayStopAtItsStart(_ mode: ServerMode) throws {
            try ServerProcess.run(.stopping, mode) { server in
                try server.wait(for: .stopped(worker: 0, true), 3)
                let first = try server.workerStop(0)
                #expect(try server.workerStop(0, 2) != first)
            }
        }

        /// bug_11000_01
        @Test(arguments: ServerMode.supervised) func processesOfOnesOwnMayStopTheServer(_ mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, { $0.process = .stop }) { server in
                let event = try server.event(.accepted)
                #expect(event == .accepted(0))
                let end = try server.waitForEnd()
                #expect(end == .exit(0))
            }
        }

        /// force_reload3
        @Test func aReloadThatAWorkerAskedForDoesNotWaitForAnother() throws {
            try ServerProcess.run(.tasks, .process, workers: 2, { $0.shutdownTimeout = .milliseconds(100) }) { server in
                let clients = [try WebSocketClient(port: server.port), try WebSocketClient(port: server.port)]
                try clients[0].send(.block(.seconds(60)))
                try clients[1].send(.reload())
                try server.event(.afterReload)
                #expect(server.log.contains("did not stop in time for the reload and is killed"))
                for client in clients { #expect(try client.ask("x") == "x") }
            }
        }

        /// max_request
        @Test func fourThousandRequestsOfOneConnectionAreAnswered() throws {
            try ServerProcess.run(.chaos, .process, workers: 2) {
                $0.maxRequests = 300
                $0.maxRequestsGrace = 0
            } test: { server in
                let connection = try Connection(port: server.port)
                for n in 0..<4000 {
                    try connection.sendRequest("/\(n)")
                    #expect(try connection.takeResponse().body == "/\(n)")
                }
                #expect(server.events(.workerStop).count >= 13)
            }
        }
    }
}
