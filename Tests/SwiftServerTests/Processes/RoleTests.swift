import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Custom processes, renewal, reloads and the status of processes. Comments name the test cases of Swoole that a
    /// test repeats.
    @Suite struct RoleTests {
        static let modes: [ServerMode] = [.process, .base]

        // MARK: Custom processes

        /// addProcess, addProcess_base: from another process straight to a client.
        @Test(arguments: modes)
        func ownProcessesPush(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, workers: 2, { $0.process = .idle }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.sendMessage(.push(to: client.fd), to: 2)) == PushResult.queued)
                #expect(try client.answer() == 2)
                #expect(try server.customProcess(0, id: 2) == server.process("helper 0"))
            }
        }

        /// addProcess_with_event_wait
        @Test func ownProcessesHaveTimers() throws {
            try ServerProcess.run(.tasks, .process) {
                $0.processes = 2
                $0.process = .tick
            } test: { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                var received: Set<String> = []
                while !received.isSuperset(of: ["tick 0", "tick 1"]) { received.insert(try client.receiveText()) }
            }
        }

        /// addProcess_with_error, addProcess_with_tick
        @Test(arguments: [CustomProcess.crash, .fail])
        func ownProcessesThatFailAreStartedAgain(way: CustomProcess) throws {
            try ServerProcess.run(.tasks, .process, { $0.process = way }) { server in
                for n in 1...3 { try server.customProcess(0, id: 1, n) }
                guard case .workerError(1, _, let code, let signal) = try server.event(.workerError) else {
                    Issue.record("another worker: \(server.events)")
                    return
                }
                #expect(code == (way == .fail ? 1 : 0) && (signal == 0) == (way == .fail))
            }
        }

        /// kill_user_process_01, kill_user_process_02, user_process_pid
        @Test(arguments: modes)
        func ownProcessesThatAreKilledAreStartedAgain(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, { $0.process = .idle }) { server in
                let client = try WebSocketClient(port: server.port)
                let first = try server.customProcess(0, id: 1)
                try Wait.until("its code has returned") {
                    try client.ask(.status(of: 1)) == ProcessStatus(.idle, pid: first)
                }
                server.signal(9, to: first)
                let second = try server.customProcess(0, id: 1, 2)
                try Wait.until("the pid is known") {
                    let status: ProcessStatus = try client.ask(.status(of: 1))
                    return status.pid == second
                }
            }
        }

        /// user_process_2
        @Test func ownProcessesMayBeAsynchronous() throws {
            try ServerProcess.run(.tasks, .process, { $0.process = .loop }) { server in
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
            try ServerProcess.run(.tasks, .process) {
                $0.process = .ignore
                $0.shutdownTimeout = .milliseconds(100)
            } test: { server in
                try server.customProcess(0, id: 1)
            }
        }

        /// Task workers end before: a task that has not begun then is nothing to wait for.
        @Test func ownProcessesDoNotWaitForWhatNeverComes() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1) {
                $0.process = .postMany
                $0.shutdownTimeout = .seconds(3)
            } test: { server in
                try server.customProcess(0, id: 2)
                try server.stop()
                #expect(!server.log.contains("in time"), "\(server.log)")
            }
        }

        @Test func ownProcessesThatBlockEndAtOnce() throws {
            try ServerProcess.run(.tasks, .process, { $0.process = .block }) { server in
                try server.customProcess(0, id: 1)
                server.signal(10)  // reloads leave them alone
                try server.event(.afterReload)
                try server.stop()
                #expect(!server.log.contains("is killed"))
                #expect(server.events(.process).count == 1)
            }
        }

        // MARK: Renewal

        /// max_request_grace_disabled, max_request
        @Test func workersAreRenewedAfterSoManyRequests() throws {
            try ServerProcess.run(.tasks, .process) {
                $0.maxRequests = 50
                $0.maxRequestsGrace = 0
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                for n in 0..<500 { #expect(try client.ask("number \(n)") == "number \(n)") }
                try server.workerStart(0, 11)
                #expect(server.starts(of: 0) == 11)
                #expect(server.events(.workerStop).count == 10)
            }
        }

        /// max_request_grace_enabled
        @Test func renewalIsSpreadByChance() throws {
            try ServerProcess.run(.tasks, .process) {
                $0.maxRequests = 20
                $0.maxRequestsGrace = 20
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                for n in 0..<20 { #expect(try client.ask("number \(n)") == "number \(n)") }
                #expect(server.events(.workerStop).isEmpty)
                for n in 0..<20 { #expect(try client.ask("number \(n)") == "number \(n)") }
                try server.workerStart(0, 2)
            }
        }

        // MARK: Reload

        /// base/reload_1, reload_process, onReload
        @Test(arguments: modes)
        func usr1ReplacesWorkersAndTaskWorkers(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, workers: 2, tasks: 2) { server in
                for id in 0..<4 { try server.workerStart(id) }
                for round in 1...3 {
                    server.signal(10)
                    try server.event(.afterReload, round)
                    for id in 0..<4 { try server.workerStart(id, round + 1) }
                }
                let manager = try server.process("manager")
                #expect(server.events(.beforeReload) == Array(repeating: .beforeReload(pid: manager), count: 3))
                for id in 0..<4 { #expect(server.starts(of: id) == 4) }
            }
        }

        /// base/reload_2
        @Test(arguments: modes)
        func usr2ReplacesTaskWorkers(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, workers: 2, tasks: 2) { server in
                for id in 0..<4 { try server.workerStart(id) }
                server.signal(12)
                try server.event(.afterReload)
                for id in 0..<4 { #expect(server.starts(of: id) == (id < 2 ? 1 : 2)) }
            }
        }

        @Test func usr2WithoutTaskWorkersIsWarnedOf() throws {
            try ServerProcess.run(.tasks) { server in
                server.signal(12)
                try Wait.until("a warning") { server.log.contains("there are no task workers to reload") }
            }
        }

        /// reload, shutdown
        @Test func workersMayAskForReloadAndShutdown() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.reload(onlyTaskWorkers: true))
                try server.event(.afterReload)
                #expect(server.starts(of: 0) == 1)
                try client.send(.reload())
                try server.event(.afterReload, 2)
                try client.send(.shutdown)
                #expect(try server.waitForEnd() == .exit(0))
            }
        }

        /// stop, getWorkerStatus, object/getWorkerPid
        @Test(arguments: modes)
        func oneProcessMayBeStopped(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                let first = try server.process("task worker 1")
                try Wait.until("it is idle") { try client.ask(.status(of: 1)) == ProcessStatus(.idle, pid: first) }
                #expect(try client.ask(.status(of: 0)) == ProcessStatus(.busy, pid: try server.process("worker 0")))
                #expect(try client.ask(.status(of: 2)) == ProcessStatus(nil, pid: 0))
                #expect(try client.ask(.stop(worker: 1)) == true)
                #expect(try server.workerStart(1, 2) != first)
                #expect(try client.ask(.stop()) == true)
                try server.workerStart(0, 2)
            }
        }

        /// event/worker_exit, force_reload4
        @Test func timersAreNotifiedOfTheEndAndDropped() throws {
            try ServerProcess.run(.tasks) { server in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                try client.send(.timer(.seconds(60)))
                #expect(try client.ask("x") == "x")
                server.signal(10)
                #expect(try server.event(.workerExit) == .workerExit(id: 0, pid: worker, .ending))
                #expect(try server.workerStart(0, 2) != worker)
                #expect(server.events(.timer).isEmpty)
            }
        }

        /// reload_async
        @Test func timersThatHoldTheWorkerAreWaitedFor() throws {
            try ServerProcess.run(.tasks) { server in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                try client.send(.timer(.milliseconds(200), holdsWorker: true))
                #expect(try client.ask("x") == "x")
                server.signal(10)
                #expect(try server.workerStart(0, 2) != worker)
                #expect(try server.event(.timer) == .timer(pid: worker))
                #expect(try client.answer() == worker)
            }
        }

        @Test func aHandlerThatSleepsIsWaitedFor() throws {
            try ServerProcess.run(.async, .process) { server in
                let client = try WebSocketClient(port: server.port)
                let other = try WebSocketClient(port: server.port)
                try client.send(.sleep(.milliseconds(300)))
                #expect(try other.ask("x") == "x")
                server.signal(15, to: try server.process("worker 0"))
                #expect(try client.answer() == true)
                try server.workerStop(0)
            }
        }

        /// What holds a worker is said by name.
        @Test func whatHoldsAWorkerIsNamed() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1, { $0.shutdownTimeout = .milliseconds(100) }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.post(.sleep(.milliseconds(700)))) == Posting.posted(1))
                try client.send(.timer(.seconds(60), holdsWorker: true))
                #expect(try client.ask("x") == "x")
                server.signal(15, to: try server.process("worker 0"))
                try server.workerStart(0, 2)
                #expect(server.log.contains("stops with 1 tasks without a result, 1 timers"))
            }
        }

        // MARK: Reports

        /// object/status_info, kill
        @Test func deathsAreReported() throws {
            try ServerProcess.run(.tasks, workers: 2) { server in
                let clients = try WebSocketClient.ofEveryWorker(2, port: server.port)
                let worker = try server.process("worker 0")
                try clients[0].send(.crash)
                let report = try server.event(.workerError)
                #expect(report.pid == worker)
                #expect(server.log.contains("worker 0 (pid \(worker)) was killed by signal"))
                #expect(server.log.contains("in onMessage of connection \(clients[0].fd); starting it again"))
                let successor = try server.workerStart(0, 2)
                try Wait.until("it is idle") {
                    try clients[1].ask(.status(of: 0)) == ProcessStatus(.idle, pid: successor)
                }
                server.signal(9, to: successor)
                guard case .workerError(0, _, 0, 9) = try server.event(.workerError, 2) else {
                    Issue.record("another end: \(server.events)")
                    return
                }
                try Wait.until("the report") { server.log.contains(", idle after on") }
            }
        }

        @Test func aStuckHandlerIsNamed() throws {
            try ServerProcess.run(.tasks, .process, { $0.stuckAfter = .milliseconds(100) }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.block(.milliseconds(400))) == true)
                #expect(server.log.contains("has been in onMessage of connection 1 for"))
                #expect(server.log.components(separatedBy: "has been in onMessage of").count == 2)
                #expect(server.starts(of: 0) == 1)
            }
        }

        /// force_reload, force_reload2
        @Test(arguments: modes)
        func aStuckWorkerMayBeKilled(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode) {
                $0.stuckAfter = .milliseconds(100)
                $0.killsStuck = true
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.block(.seconds(60)))
                try server.workerStart(0, 2)
                let next = mode == .process ? client : try WebSocketClient(port: server.port)
                #expect(try next.ask("x") == "x")
            }
        }

        /// One that runs no handler, as it waits for clients: SIGSTOP has stopped it.
        @Test(arguments: modes)
        func aStoppedProcessMayBeKilled(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1) {
                $0.stuckAfter = .milliseconds(200)
                $0.killsStuck = true
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.wait(.echo("x"))) == TaskOutcome.result(.text("x")))
                server.signal(SIGSTOP, to: try server.process("worker 0"))
                try server.workerStart(0, 2)
                let next = mode == .process ? client : try WebSocketClient(port: server.port)
                #expect(try next.ask("x") == "x")
                server.signal(SIGSTOP, to: try server.process("task worker 1"))
                #expect(try next.ask(.wait(.echo("y"))) == TaskOutcome.result(.text("y")))
                let report = "has not responded for 0.2 seconds and is killed"
                #expect(server.log.components(separatedBy: report).count == 3)
                #expect(server.starts(of: 0) == 2)
            }
        }

        /// A task may take longer than `stuckAfter`, but not while its process is stopped.
        @Test func aProcessThatIsStoppedInATaskMayBeKilled() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1) {
                $0.stuckAfter = .milliseconds(200)
                $0.killsStuck = true
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.wait(.sleep(.milliseconds(600)))) == TaskOutcome.result(.text("slept")))
                try client.send(.wait(.push(then: .seconds(60)), timeout: .seconds(60)))
                #expect(try client.answer() == 1)  // it is in the task
                server.signal(SIGSTOP, to: try server.process("task worker 1"))
                #expect(try client.answer() == TaskOutcome.failure("the task worker crashed"))
                #expect(try client.ask(.wait(.echo("x"))) == TaskOutcome.result(.text("x")))
                #expect(server.log.contains("), stopped in onTask of task 2, has not responded for 0.2 seconds and is"))
                #expect(server.starts(of: 1) == 2)
            }
        }

        /// event/before_shutdown, event/shutdown, event/manager_stop
        @Test func theEndIsReportedInOrder() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1, { $0.process = .idle }) { server in
                try server.customProcess(0, id: 2)
                for id in 0..<2 { try server.workerStart(id) }
                try server.stop()
                let ends: Set<Event.Kind> = [.beforeShutdown, .workerStop, .managerStop, .shutdown]
                let events = server.reports.filter { ends.contains($0.kind) }
                #expect(events.map(\.kind) == [.beforeShutdown, .workerStop, .workerStop, .managerStop, .shutdown])
                #expect(events[0].event == .beforeShutdown(pid: server.pid))
                guard case .workerStop(0, _) = events[1].event, case .workerStop(1, _) = events[2].event else {
                    Issue.record("another order: \(events)")
                    return
                }
            }
        }

        /// base/shutdown_single: everything in the process that was started.
        @Test func oneProcessDoesEverything() throws {
            try ServerProcess.run(.tasks, .single, tasks: 2) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(server.running == [server.pid])
                #expect(try client.who() == WorkerIdentity(id: 0, pid: server.pid))
                let me = TaskResult.process(WorkerIdentity(id: 0, pid: server.pid), isTaskWorker: false)
                #expect(try client.ask(.wait(.who)) == TaskOutcome.result(me))
                server.signal(10)
                try Wait.until("a warning") { server.log.contains("in single mode it is ignored") }
                #expect(try client.ask("x") == "x")
                try server.stop()
                let kinds: Set<Event.Kind> = [.managerStart, .workerStart, .workerStop, .managerStop, .returned]
                #expect(
                    server.reports.filter { kinds.contains($0.kind) }.map(\.event) == [
                        .managerStart(pid: server.pid), .workerStart(id: 0, pid: server.pid),
                        .workerStop(id: 0, pid: server.pid), .managerStop(pid: server.pid), .returned,
                    ])
            }
        }

        @Test func oneProcessHasNoOthers() throws {
            let server = try ServerProcess.runFailing(.tasks, .single) { $0.process = .idle }
            let (code, message) = try server.onlyError()
            #expect(code == .invalidSetting && message.hasPrefix("custom processes cannot"))
        }
    }
}
