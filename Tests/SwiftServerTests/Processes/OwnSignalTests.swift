import Foundation
import Glibc
import SwiftServer
import Testing

extension ProcessTests {
    /// The program's own signals, and calls at unusual places. Names in comments are the peer's test cases that a test
    /// repeats.
    @Suite struct OwnSignalTests {
        /// signal_in_manager, signal_in_manager_2, signal_in_manager_4, signal_in_task_worker, signal
        @Test(arguments: ServerMode.supervised) func everyProcessMayTakeSignals(_ mode: ServerMode) throws {
            try ServerProcess.run("signals", mode, workers: 1, ["tasks=1"]) { server in
                let pids = try ["manager", "worker 0", "worker 1"].map { try server.number("takes signals: \($0)") }
                let client = try WebSocketClient(port: server.port, welcome: false)
                #expect(try client.ask("hello") == "hello")
                for pid in pids {
                    for round in 1...2 {
                        server.signal(SIGWINCH, to: pid)
                        #expect(try server.number("window of \(pid)", round) == pid)
                    }
                    server.signal(SIGCONT, to: pid)
                    try server.line("no more windows of \(pid)")
                    server.signal(SIGWINCH, to: pid)
                }
                #expect(try client.ask("hello") == "hello")
                #expect(server.lines("window of").count == 6, "\(server.lines)")
            }
        }

        /// signal_in_manager_3
        @Test(arguments: ServerMode.supervised, ["manager", "worker 0", "worker 1"])
        func theirHandlersMayStopTheServer(_ mode: ServerMode, _ process: String) throws {
            try ServerProcess.run("signals", mode, workers: 1, ["tasks=1"]) { server in
                server.signal(SIGURG, to: try server.number("takes signals: \(process)"))
                #expect(try server.waitForEnd() == .exit(0))
                try server.waitForSilence()
                #expect(server.lines("workerStop").count == 2)
            }
        }

        /// stop_in_workerStart
        @Test(arguments: ServerMode.supervised) func aWorkerMayStopAtItsStart(_ mode: ServerMode) throws {
            try ServerProcess.run("stopping", mode) { server in
                #expect(try server.line("workerStart 0", 3) == "workerStart 0 true")
                let first = try server.number("workerStop 0")
                #expect(try server.number("workerStop 0", 2) != first)
            }
        }

        /// bug_11000_01
        @Test(arguments: ServerMode.supervised) func processesOfOnesOwnMayStopTheServer(_ mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["processes=1", "process=stop"]) { server in
                let count = try server.number("process counts")
                let end = try server.waitForEnd()
                #expect(count == 0 && end == .exit(0))
            }
        }

        /// force_reload3
        @Test func aReloadThatAWorkerAskedForDoesNotWaitForAnother() throws {
            try ServerProcess.run("tasks", .process, workers: 2, ["shutdownTimeout=100"]) { server in
                let clients = [try WebSocketClient(port: server.port), try WebSocketClient(port: server.port)]
                try clients[0].send("block 60000")
                try clients[1].send("reload 0")
                try server.line("afterReload")
                #expect(server.log.contains("did not stop in time for the reload and is killed"))
                for client in clients { #expect(try client.ask("x") == "x") }
            }
        }

        /// max_request
        @Test func fourThousandRequestsOfOneConnectionAreAnswered() throws {
            try ServerProcess.run("chaos", .process, workers: 2, ["maxRequests=300", "maxRequestsGrace=0"]) { server in
                let connection = try Connection(port: server.port)
                for n in 0..<4000 {
                    try connection.sendRequest("/\(n)")
                    #expect(try connection.takeResponse().body == "/\(n)")
                }
                #expect(server.lines("workerStop").count >= 13)
            }
        }
    }
}
