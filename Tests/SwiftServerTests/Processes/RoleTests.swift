import Foundation
import SwiftServer
import Testing

extension ProcessTests {
    /// Messages between processes, custom processes, renewal, reloads and the status of processes. Comments name the
    /// test cases of Swoole that a test repeats.
    @Suite struct RoleTests {
        static let modes: [ServerMode] = [.process, .base]

        // MARK: Messages

        /// sendMessage_1 to _4, sendMessage_in_manager
        @Test(arguments: modes)
        func allProcessesExchangeMessages(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, workers: 2, ["tasks=2", "processes=1", "post"]) { server in
                #expect(try server.line("pipe 0 -1").hasPrefix("pipe 0 -1"))
                let client = try WebSocketClient(port: server.port)
                let own = try #require(Int(try client.ask("who").split(separator: " ")[0]))
                for other in 0...4 where other != own {
                    #expect(try client.ask("message \(other) ask \(other)") == "queued")
                    #expect(try server.line("pipe \(other) \(own)") == "pipe \(other) \(own) 5 ask \(other)")
                    #expect(try server.line("pipe \(own) \(other)").hasSuffix("answer \(other)"))
                }
                #expect(try client.ask("message \(own) me") == "invalid")
                #expect(try client.ask("message 5 nobody") == "invalid")
            }
        }

        /// bigPipeMessage, memory_leak/pipe_message
        @Test func messagesMayBeLarge() throws {
            try ServerProcess.run("tasks", .process, workers: 1, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                let receiver = try server.process("task worker 1")
                for n in 1...5 {
                    #expect(try client.ask("bigMessage 1") == "queued")
                    #expect(try server.line("pipe 1 0", n).hasPrefix("pipe 1 0 800000 xxx"))
                }
                let before = ProcessTable.residentPages(receiver)
                for n in 6...30 {
                    #expect(try client.ask("bigMessage 1") == "queued")
                    _ = try server.line("pipe 1 0", n)
                }
                #expect(ProcessTable.residentPages(receiver) < before + 1024)
            }
        }

        /// addProcess, addProcess_base: from another process straight to a client.
        @Test(arguments: modes)
        func ownProcessesPush(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, workers: 2, ["processes=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("message 2 push 1") == "queued")
                #expect(try client.receiveText() == "pushed by 2")
                #expect(try server.number("process 0 2") == server.process("helper 0"))
            }
        }

        /// addProcess_with_event_wait
        @Test func ownProcessesHaveTimers() throws {
            try ServerProcess.run("tasks", .process, ["processes=2", "process=tick"]) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                var received: Set<String> = []
                while !received.isSuperset(of: ["tick 0", "tick 1"]) { received.insert(try client.receiveText()) }
            }
        }

        /// addProcess_with_error, addProcess_with_tick
        @Test(arguments: ["crash", "throw"])
        func ownProcessesThatFailAreStartedAgain(way: String) throws {
            try ServerProcess.run("tasks", .process, ["processes=1", "process=\(way)"]) { server in
                for n in 1...3 { _ = try server.number("process 0 1", n) }
                #expect(
                    try server.line("workerError 1").hasPrefix(way == "throw" ? "workerError 1 1 0" : "workerError 1 0")
                )
            }
        }

        /// kill_user_process_01, kill_user_process_02, user_process_pid
        @Test(arguments: modes)
        func ownProcessesThatAreKilledAreStartedAgain(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["processes=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                let first = try server.number("process 0 1")
                try Wait.until("its code has returned") { try client.ask("status 1") == "idle \(first)" }
                server.signal(9, to: first)
                let second = try server.number("process 0 1", 2)
                try Wait.until("the pid is known") { try client.ask("status 1").hasSuffix(" \(second)") }
            }
        }

        /// user_process_2
        @Test func ownProcessesMayBeAsynchronous() throws {
            try ServerProcess.run("tasks", .process, ["processes=1", "process=loop"]) { server in
                // What is broadcast may come before the welcome.
                let client = try WebSocketClient(port: server.port, welcome: false)
                var count = 0
                while count < 3 { if try client.receiveText() == "loop" { count += 1 } }
                try server.stop()
                #expect(!server.log.contains("in time"))
            }
        }

        /// user_process_force_exit
        @Test func ownProcessesThatIgnoreTheEndAreKilled() throws {
            try ServerProcess.run("tasks", .process, ["processes=1", "process=ignore", "shutdownTimeout=100"]) {
                server in
                _ = try server.number("process 0 1")
            }
        }

        /// Task workers end before: a task that has not begun then is nothing to wait for.
        @Test func ownProcessesDoNotWaitForWhatNeverComes() throws {
            try ServerProcess.run(
                "tasks", .process, ["processes=1", "process=post", "tasks=1", "shutdownTimeout=3000"]
            ) {
                server in
                _ = try server.number("process 0 2")
                try server.stop()
                #expect(!server.log.contains("in time"), "\(server.log)")
            }
        }

        @Test func ownProcessesThatBlockEndAtOnce() throws {
            try ServerProcess.run("tasks", .process, ["processes=1", "process=block"]) { server in
                _ = try server.number("process 0 1")
                server.signal(10)  // reloads leave them alone
                _ = try server.line("afterReload")
                try server.stop()
                #expect(!server.log.contains("is killed"))
                #expect(server.lines("process 0 1").count == 1)
            }
        }

        // MARK: Renewal

        /// max_request_grace_disabled, max_request
        @Test func workersAreRenewedAfterSoManyRequests() throws {
            try ServerProcess.run("tasks", .process, ["maxRequests=50", "maxRequestsGrace=0"]) { server in
                let client = try WebSocketClient(port: server.port)
                for n in 0..<500 { #expect(try client.ask("number \(n)") == "number \(n)") }
                _ = try server.number("workerStart 0", 11)
                #expect(server.lines("workerStart 0").count == 11)
                #expect(server.lines("workerStop 0").count == 10)
            }
        }

        /// max_request_grace_enabled
        @Test func renewalIsSpreadByChance() throws {
            try ServerProcess.run("tasks", .process, ["maxRequests=20", "maxRequestsGrace=20"]) { server in
                let client = try WebSocketClient(port: server.port)
                for n in 0..<20 { #expect(try client.ask("number \(n)") == "number \(n)") }
                #expect(server.lines("workerStop 0").isEmpty)
                for n in 0..<20 { #expect(try client.ask("number \(n)") == "number \(n)") }
                _ = try server.number("workerStart 0", 2)
            }
        }

        // MARK: Reload

        /// base/reload_1, reload_process, onReload
        @Test(arguments: modes)
        func usr1ReplacesWorkersAndTaskWorkers(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, workers: 2, ["tasks=2"]) { server in
                for id in 0..<4 { _ = try server.number("workerStart \(id)") }
                for round in 1...3 {
                    server.signal(10)
                    _ = try server.line("afterReload", round)
                    for id in 0..<4 { _ = try server.number("workerStart \(id)", round + 1) }
                }
                let manager = try server.process("manager")
                #expect(server.lines("beforeReload") == Array(repeating: "beforeReload \(manager)", count: 3))
                for id in 0..<4 { #expect(server.lines("workerStart \(id)").count == 4) }
            }
        }

        /// base/reload_2
        @Test(arguments: modes)
        func usr2ReplacesTaskWorkers(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, workers: 2, ["tasks=2"]) { server in
                for id in 0..<4 { _ = try server.number("workerStart \(id)") }
                server.signal(12)
                _ = try server.line("afterReload")
                for id in 0..<4 { #expect(server.lines("workerStart \(id)").count == (id < 2 ? 1 : 2)) }
            }
        }

        @Test func usr2WithoutTaskWorkersIsWarnedOf() throws {
            try ServerProcess.run("tasks") { server in
                server.signal(12)
                try Wait.until("a warning") { server.log.contains("there are no task workers to reload") }
            }
        }

        /// reload, shutdown
        @Test func workersMayAskForReloadAndShutdown() throws {
            try ServerProcess.run("tasks", .process, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send("reload 1")
                _ = try server.line("afterReload")
                #expect(server.lines("workerStart 0").count == 1)
                try client.send("reload 0")
                _ = try server.line("afterReload", 2)
                try client.send("shutdown")
                #expect(try server.waitForEnd() == .exit(0))
            }
        }

        /// stop, getWorkerStatus, object/getWorkerPid
        @Test(arguments: modes)
        func oneProcessMayBeStopped(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                let first = try server.process("task worker 1")
                try Wait.until("it is idle") { try client.ask("status 1") == "idle \(first)" }
                #expect(try client.ask("status 0") == "busy \(try server.process("worker 0"))")
                #expect(try client.ask("status 2") == "none 0")
                #expect(try client.ask("stop 1") == "true")
                #expect(try server.number("workerStart 1", 2) != first)
                #expect(try client.ask("stop") == "true")
                _ = try server.number("workerStart 0", 2)
            }
        }

        /// event/worker_exit, force_reload4
        @Test func timersAreNotifiedOfTheEndAndDropped() throws {
            try ServerProcess.run("tasks") { server in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                try client.send("timer 60000")
                #expect(try client.ask("x") == "x")
                server.signal(10)
                #expect(try server.line("workerExit 0") == "workerExit 0 \(worker) ending")
                #expect(try server.number("workerStart 0", 2) != worker)
                #expect(server.lines("timer").isEmpty)
            }
        }

        /// reload_async
        @Test func timersThatHoldTheWorkerAreWaitedFor() throws {
            try ServerProcess.run("tasks") { server in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                try client.send("timer 200 hold")
                #expect(try client.ask("x") == "x")
                server.signal(10)
                #expect(try server.number("workerStart 0", 2) != worker)
                #expect(try server.line("timer") == "timer \(worker)")
                #expect(try client.receiveText() == "timer")
            }
        }

        @Test func aHandlerThatSleepsIsWaitedFor() throws {
            try ServerProcess.run("async", .process) { server in
                let client = try WebSocketClient(port: server.port)
                let other = try WebSocketClient(port: server.port)
                try client.send("sleep 300")
                #expect(try other.ask("first x") == "x")
                server.signal(15, to: try server.process("worker 0"))
                #expect(try client.receiveText() == "slept 300")
                try server.line("workerStop 0")
            }
        }

        /// What holds a worker is said by name.
        @Test func whatHoldsAWorkerIsNamed() throws {
            try ServerProcess.run("tasks", .process, ["tasks=1", "shutdownTimeout=100"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("post sleep 700") == "posted 1")
                try client.send("timer 60000 hold")
                #expect(try client.ask("x") == "x")
                server.signal(15, to: try server.process("worker 0"))
                _ = try server.number("workerStart 0", 2)
                #expect(server.log.contains("stops with 1 tasks without a result, 1 timers"))
            }
        }

        // MARK: Reports

        /// object/status_info, kill
        @Test func deathsAreReported() throws {
            try ServerProcess.run("tasks") { server in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                try client.send("crash")
                let report = try server.line("workerError 0")
                #expect(report.hasSuffix(" \(worker)"))
                #expect(server.log.contains("worker 0 (pid \(worker)) was killed by signal"))
                #expect(server.log.contains("in onMessage of connection 1; starting it again"))
                _ = try server.number("workerStart 0", 2)
                server.signal(9, to: try server.process("worker 0"))
                #expect(try server.line("workerError 0", 2).hasPrefix("workerError 0 0 9"))
                try Wait.until("the report") { server.log.contains(", idle after on") }
            }
        }

        @Test func aStuckHandlerIsNamed() throws {
            try ServerProcess.run("tasks", .process, ["stuckAfter=100"]) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send("block 400")
                #expect(try client.ask("x") == "x")
                #expect(server.log.contains("has been in onMessage of connection 1 for"))
                #expect(server.log.components(separatedBy: "has been in onMessage of").count == 2)
                #expect(server.lines("workerStart 0").count == 1)
            }
        }

        /// force_reload, force_reload2
        @Test(arguments: modes)
        func aStuckWorkerMayBeKilled(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["stuckAfter=100", "killsStuck"]) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send("block 60000")
                _ = try server.number("workerStart 0", 2)
                let next = mode == .process ? client : try WebSocketClient(port: server.port)
                #expect(try next.ask("x") == "x")
            }
        }

        /// event/before_shutdown, event/shutdown, event/manager_stop
        @Test func theEndIsReportedInOrder() throws {
            try ServerProcess.run("tasks", .process, ["tasks=1", "processes=1"]) { server in
                _ = try server.number("process 0 2")
                for id in 0..<2 { _ = try server.number("workerStart \(id)") }
                try server.stop()
                let events = ["beforeShutdown", "workerStop 0", "workerStop 1", "managerStop", "shutdown"]
                #expect(
                    server.lines.filter { line in events.contains { line.hasPrefix($0) } }.map { line in
                        events.first { line.hasPrefix($0) }!
                    } == events)
                #expect(server.lines("beforeShutdown") == ["beforeShutdown \(server.pid)"])
            }
        }

        /// base/shutdown_single: everything in the process that was started.
        @Test func oneProcessDoesEverything() throws {
            try ServerProcess.run("tasks", .single, ["tasks=2"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(server.running == [server.pid])
                #expect(try client.ask("who") == "0 \(server.pid)")
                #expect(try client.ask("wait 5000 who") == "got 1 0 false \(server.pid)")
                server.signal(10)
                try Wait.until("a warning") { server.log.contains("in single mode it is ignored") }
                #expect(try client.ask("x") == "x")
                try server.stop()
                #expect(
                    server.lines.filter { $0.hasPrefix("workerSt") || $0.hasPrefix("manager") || $0 == "returned" } == [
                        "managerStart \(server.pid)", "workerStart 0 \(server.pid)", "workerStop 0 \(server.pid)",
                        "managerStop \(server.pid)", "returned",
                    ])
            }
        }

        @Test func oneProcessHasNoOthers() throws {
            let server = try ServerProcess.runFailing("tasks", .single, ["processes=1"])
            #expect(server.lines.last?.hasPrefix("error invalidSetting: custom processes cannot") == true)
        }
    }
}
