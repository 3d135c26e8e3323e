import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Tasks, in both modes and in one process. Comments name the test cases of Swoole that a test repeats.
    @Suite struct TaskTests {
        static let modes: [ServerMode] = [.process, .base]

        /// Idle task workers, tasks that wait and tasks that are done.
        private func tasks(_ client: WebSocketClient) throws -> [Int] {
            let counts: Counts = try client.ask(.stats)
            return [counts.idleTaskWorkers, counts.tasksWaiting, counts.tasksDone]
        }

        /// task/base
        @Test(arguments: [ServerMode.process, .base, .single])
        func resultsComeToThePoster(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, workers: mode == .single ? 1 : 2, tasks: 2) { server in
                let client = try WebSocketClient(port: server.port)
                let (posting, text): (Posting, String) = try client.askAndReceive(.post(.echo("hello")))
                #expect(posting == .posted(1) && text == encoded(Finished(.text("hello"))))
                try client.send(.post(.twice))
                let answers = [try client.receiveText(), try client.receiveText(), try client.receiveText()]
                let finished = answers.compactMap { try? decoded(Finished.self, $0).finished }
                #expect(finished == [.text("first"), .text("second")])
            }
        }

        @Test(arguments: modes)
        func taskWorkersAreProcessesOfTheirOwn(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, workers: 2, tasks: 2) { server in
                let client = try WebSocketClient(port: server.port)
                let first = try server.process("task worker 2")
                let worker = TaskResult.process(WorkerIdentity(id: 2, pid: first), isTaskWorker: true)
                #expect(try client.ask(.wait(.who)) == TaskOutcome.result(worker))
                // H13: they have onWorkerStart, too; H14: their numbers follow those of the workers.
                #expect(try server.workerStart(2) == first)
                #expect(try server.workerStart(3) == server.process("task worker 3"))
                guard case .result(.origin(0...1, _)) = try client.ask(.wait(.origin)) as TaskOutcome else {
                    Issue.record("another result")
                    return
                }
            }
        }

        /// The poster goes on while the task is done.
        @Test(arguments: modes)
        func postingDoesNotWait(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.post(.sleep(.milliseconds(300)))) == Posting.posted(1))
                #expect(try client.ask("hello") == "hello")
                #expect(try client.finished() == .text("slept"))
            }
        }

        /// task/task_callback, task/task_wait, taskwait_01, taskwait_02
        @Test(arguments: [ServerMode.process, .base, .single])
        func resultsCanBeWaitedFor(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 2) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.wait(.echo("x"))) == TaskOutcome.result(.text("x")))
                #expect(try client.ask(.wait(.silent)) == TaskOutcome.result(nil))
                #expect(
                    try client.ask(.wait(.fail("why"))) == TaskOutcome.failure("the task failed: the task failed: why"))
                #expect(try client.ask(.callBack(.echo("y"))) == TaskOutcome.result(.text("y")))
                #expect(
                    try client.ask(.callBack(.fail("y"))) == TaskOutcome.failure("the task failed: the task failed: y"))
            }
        }

        @Test func waitingHasAnEnd() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(
                    try client.ask(.wait(.sleep(.milliseconds(300)), timeout: .milliseconds(20)))
                        == TaskOutcome.failure("the task did not end in time"))
                // What comes too late is dropped, and is nobody else's result.
                #expect(try client.ask(.wait(.echo("next"))) == TaskOutcome.result(.text("next")))
            }
        }

        /// taskWaitMulti, task/task_co
        @Test func manyResultsCanBeWaitedFor() throws {
            try ServerProcess.run(.tasks, .process, tasks: 2) { server in
                let client = try WebSocketClient(port: server.port)
                let results: [TaskOutcome] = try client.ask(.all([.echo("a"), .echo("b"), .silent, .echo("c")]))
                #expect(results == [.result(.text("a")), .result(.text("b")), .result(nil), .result(.text("c"))])
                let jobs = [Job.echo("a"), .sleep(.seconds(2)), .echo("b")]
                let late: [TaskOutcome] = try client.ask(.all(jobs, timeout: .milliseconds(200)))
                #expect(late.prefix(2) == [.result(.text("a")), .failure("the task did not end in time")])
                #expect(late.count == 3)
            }
        }

        /// task/huge_data
        @Test(arguments: modes)
        func megabytesGoBothWays(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.post(.big(5_000_000))) == Posting.posted(1))
                #expect(try client.finished() == .textOf(bytes: 5_000_000))
            }
        }

        @Test(arguments: [ServerMode.process, .single])
        func aReturnedResultThatIsTooLargeIsAFailure(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1, { $0.maxTask = 1024 }) { server in
                let client = try WebSocketClient(port: server.port)
                guard case .failure(let cause) = try client.ask(.wait(.big(2000))) as TaskOutcome else {
                    Issue.record("a result")
                    return
                }
                #expect(cause.hasPrefix("the task failed: its result has "))
                #expect(cause.hasSuffix(" bytes, more than settings.maxTask (1024)"))
                #expect(try client.ask(.wait(.echo("x"))) == TaskOutcome.result(.text("x")))
            }
        }

        /// task/without_onfinish
        @Test func resultsThatNobodyTakesAreWarnedOfOnce() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1, { $0.ignoresResults = true }) { server in
                let client = try WebSocketClient(port: server.port)
                for n: UInt64 in 1...3 { #expect(try client.ask(.post(.echo("x"))) == Posting.posted(n)) }
                #expect(try client.ask(.wait(.echo("x"))) == TaskOutcome.result(.text("x")))
                #expect(server.log.components(separatedBy: "there is no onFinish").count == 2)
            }
        }

        /// check_callback
        @Test func taskWorkersNeedAHandler() throws {
            let server = try ServerProcess.runFailing(.noTask, .process, tasks: 1)
            #expect(server.events.last == .error(.missingHandler, "task workers need an onTask handler"))
        }

        @Test func withoutTaskWorkersTasksAreRefused() throws {
            try ServerProcess.run(.tasks) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.post(.echo("x"))) == Posting.refused)
                #expect(try client.ask(.wait(.echo("x"))) == TaskOutcome.failure("the task cannot be posted"))
            }
        }

        /// I5: instead of blocking, posting says that it is too much.
        @Test func whatDoesNotFitIsRefused() throws {
            try ServerProcess.run(.tasks, .process, tasks: 2) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.post(.sleep(.milliseconds(300)), on: 0)) == Posting.posted(1))
                #expect(try client.ask(.fillTasks(.silent)) == Posting.full)
                #expect(try client.ask(.post(.echo("x"), on: 7)) == Posting.refused)
                #expect(try client.ask("hello") == "hello")
            }
        }

        /// task/task_queue
        @Test func aLongQueueLosesNothing() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.burst(2048, .echo("x")))
                var answers: [String] = []
                while answers.count < 2049 { answers.append(try client.receiveText()) }
                #expect(answers.count { $0 == encoded(Finished(.text("x"))) } == 2048)
                #expect(answers.contains(encoded(Answer(2048))))
            }
        }

        /// task/scheduler_warning, task/idle_worekr_num, idle_worekr_num
        @Test func itIsSaidThatNobodyIsIdle() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.post(.sleep(.milliseconds(200)))) == Posting.posted(1))
                #expect(try client.ask(.post(.echo("x"))) == Posting.posted(2))
                #expect(try tasks(client) == [0, 2, 0])
                #expect(Set([try client.finished(), try client.finished()]) == [.text("slept"), .text("x")])
                #expect(server.log.contains("no task worker is idle"))
                try Wait.until("everybody is idle") { try tasks(client) == [1, 0, 2] }
            }
        }

        // MARK: Deaths

        /// task/kill_01, task/kill_02, task/kill_task_worker_02
        @Test(arguments: modes)
        func aKilledTaskWorkerIsReplaced(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                for round in 1...3 {
                    server.signal(9, to: try server.workerStart(1, round))
                    try server.workerStart(1, round + 1)
                    #expect(try client.ask(.wait(.echo("x"))) == TaskOutcome.result(.text("x")))
                }
            }
        }

        /// I16, task/return_serialize_exception
        @Test(arguments: modes)
        func aCrashIsReportedAndCostsOneTask(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.post(.crash)) == Posting.posted(1))
                #expect(try client.ask(.wait(.echo("x"))) == TaskOutcome.result(.text("x")))
                #expect(try server.event(.taskError) == .taskError(worker: 0, id: 1, error: "the task worker crashed"))
                #expect(try client.ask(.wait(.crash)) == TaskOutcome.failure("the task worker crashed"))
                #expect(try client.ask(.post(.fail("why"))) == Posting.posted(4))
                let why = "the task failed: the task failed: why"
                try server.wait(for: .taskError(worker: 0, id: 4, error: why))
                #expect(server.log.contains("in onTask of task 1; starting it again"))
            }
        }

        @Test func aTaskThatTakesTooLongIsEnded() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1, { $0.taskTimeout = .milliseconds(100) }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(
                    try client.ask(.wait(.sleep(.seconds(60)), timeout: .seconds(10)))
                        == TaskOutcome.failure("the task worker crashed"))
                #expect(try client.ask(.wait(.echo("x"))) == TaskOutcome.result(.text("x")))
                #expect(server.log.contains("has been in onTask of task 1 for"))
            }
        }

        /// task/task_max_request
        @Test func taskWorkersAreRenewedAfterSoManyTasks() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1) {
                $0.maxTasks = 20
                $0.maxTasksGrace = 0
            } test: { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.burst(200, .echo("x")))
                var answers = 0
                while answers < 201 {
                    _ = try client.receiveText()
                    answers += 1
                }
                // The one that has done its last task is replaced, too.
                try server.workerStart(1, 11)
                #expect(server.starts(of: 1) == 11)
            }
        }

        /// A worker that ends gets the results of its tasks first; Swoole loses them.
        @Test func aWorkerThatEndsWaitsForItsTasks() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                try client.send(.wait(.sleep(.milliseconds(300))))
                try Wait.until("the task is being done") {
                    try tasks(WebSocketClient(port: server.port))[1...] == [1, 0]
                }
                server.signal(15, to: worker)
                #expect(try client.answer() == TaskOutcome.result(.text("slept")))
                try server.workerStart(0, 2)
                #expect(try server.workerStop(0) == worker)
            }
        }

        /// The results of a worker that was killed go to its successor.
        @Test func resultsOutliveTheirPoster() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.post(.sleep(.milliseconds(300)))) == Posting.posted(1))
                server.signal(9, to: try server.process("worker 0"))
                #expect(try client.finished() == .text("slept"))
                #expect(try client.ask(.post(.echo("x"))) == Posting.posted(2))
            }
        }

        // MARK: What task workers may do

        /// task/timer
        @Test(arguments: modes)
        func taskWorkersPush(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, workers: 2, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.post(.push(then: .seconds(2)))) == Posting.posted(1))
                #expect(try client.answer() == 2)  // long before the task is over
                #expect(try client.ask(.post(.timer)) == Posting.posted(2))
                #expect(try client.answer() == 2)
            }
        }

        /// close_in_task_worker
        @Test(arguments: modes)
        func taskWorkersSeeAndCloseConnections(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, workers: 2, tasks: 1) { server in
                let (client, other) = (try WebSocketClient(port: server.port), try WebSocketClient(port: server.port))
                #expect(try client.ask(.post(.close(other.fd))) == Posting.posted(1))
                #expect(try client.finished() == .text("2 connections: [true, true, true]"))
                #expect(try other.receiveText() == "bye")
                #expect(try other.receive() == .close(4000, ""))
            }
        }

        /// task/task_in_task_worker, task/task_in_master, task/task_in_manager
        @Test(arguments: modes)
        func othersPostWithoutResults(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 2, { $0.postsEarly = true }) { server in
                try server.wait(for: .note("master", worker: -1, wantsResult: false, wasTaken: false))
                try server.wait(for: .note("manager", worker: -1, wantsResult: false, wasTaken: false))
                try server.wait(for: .posted(from: .master, true))
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.post(.nested, on: 0)) == Posting.posted(1))
                try server.wait(for: .posted(from: .taskWorker, true))
                try server.wait(for: .note("nested", worker: 1, wantsResult: false, wasTaken: false))
            }
        }

        /// task/task_in_user_process
        @Test(arguments: modes)
        func customProcessesPostAndGetResults(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1, { $0.process = .postOne }) { server in
                let posted = try server.event(.posted)
                #expect(posted == .posted(from: .customProcess, true))
                #expect(try server.event(.finish) == .finish(id: 1, .text("mine")))
            }
        }

        /// task/finish_timeout: results for which a poster has no room are refused, and nothing waits for it.
        @Test(arguments: [ServerMode.process, .single])
        func resultsWithoutRoomAreRefused(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send(.flood)
                #expect(try server.event(.flood) == .flood(wasRefused: true))
                #expect(try client.ask(.wait(.echo("x"))) == TaskOutcome.result(.text("x")))
            }
        }

        /// task/enable_coroutine, task/task_enable_coroutine_return
        @Test(arguments: [ServerMode.process, .base, .single])
        func asynchronousTasksAreDoneOneAfterTheOther(mode: ServerMode) throws {
            try ServerProcess.run(.tasks, mode, tasks: 1, { $0.isAsync = true }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask(.post(.rest(.milliseconds(100)))) == Posting.posted(1))
                #expect(try client.ask(.post(.echo("x"))) == Posting.posted(2))
                #expect(try client.finished() == .text("rested"))
                #expect(try client.finished() == .text("x"))
                #expect(try client.ask(.wait(.fail("y"))) == TaskOutcome.failure("the task failed: the task failed: y"))
            }
        }

        /// memory_leak/task
        @Test func nothingIsLeftOfTasks() throws {
            try ServerProcess.run(.tasks, .process, tasks: 1) { server in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                func round() throws {
                    try client.send(.burst(2000, .echo("x")))
                    for _ in 0..<2001 { _ = try client.receiveText() }
                }
                try round()
                try round()
                let before = ProcessTable.residentPages(worker)
                for _ in 0..<4 { try round() }
                #expect(ProcessTable.residentPages(worker) < before + 512)
            }
        }
    }
}
