import Foundation
import SwiftServer
import Testing

extension ProcessTests {
    /// Tasks, in both modes and in one process. Names in comments are the peer's test cases that a test repeats.
    @Suite struct TaskTests {
        static let modes: [ServerMode] = [.process, .base]

        /// task/base
        @Test(arguments: [ServerMode.process, .base, .single])
        func resultsComeToThePoster(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, workers: mode == .single ? 1 : 2, ["tasks=2"]) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send("post echo hello")
                #expect(Set([try client.receiveText(), try client.receiveText()]) == ["posted 1", "finish hello "])
                try client.send("post twice")
                let answers = [try client.receiveText(), try client.receiveText(), try client.receiveText()]
                #expect(answers.filter { $0.hasPrefix("finish") } == ["finish first ", "finish second "])
            }
        }

        @Test(arguments: modes)
        func taskWorkersAreProcessesOfTheirOwn(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, workers: 2, ["tasks=2"]) { server in
                let client = try WebSocketClient(port: server.port)
                let first = try server.process("task worker 2")
                #expect(try client.ask("wait 5000 who") == "got 1 2 true \(first)")
                // H13: they have onWorkerStart, too; H14: their numbers follow those of the workers.
                #expect(try server.number("workerStart 2") == first)
                #expect(try server.number("workerStart 3") == server.process("task worker 3"))
                #expect(try client.ask("wait 5000 from").hasPrefix("got 1 "))
            }
        }

        /// The poster goes on while the task is done.
        @Test(arguments: modes)
        func postingDoesNotWait(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("post sleep 300") == "posted 1")
                #expect(try client.ask("hello") == "hello")
                #expect(try client.receiveText() == "finish slept ")
            }
        }

        /// task/task_callback, task/task_wait, taskwait_01, taskwait_02
        @Test(arguments: [ServerMode.process, .base, .single])
        func resultsCanBeWaitedFor(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["tasks=2"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("wait 5000 echo x") == "got 1 x")
                #expect(try client.ask("wait 5000 silent") == "got nothing")
                #expect(try client.ask("wait 5000 throw why") == "no: the task failed: the task failed: why")
                #expect(try client.ask("then echo y") == "then 1 y")
                #expect(try client.ask("then throw y").hasPrefix("then no: the task failed"))
            }
        }

        @Test func waitingHasAnEnd() throws {
            try ServerProcess.run("tasks", .process, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("wait 20 sleep 300") == "no: the task did not end in time")
                // What comes too late is dropped, and is nobody else's result.
                #expect(try client.ask("wait 5000 echo next") == "got 1 next")
            }
        }

        /// taskWaitMulti, task/task_co
        @Test func manyResultsCanBeWaitedFor() throws {
            try ServerProcess.run("tasks", .process, ["tasks=2"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("all 5000 echo_a echo_b silent echo_c") == "1 a,1 b,nothing,1 c")
                #expect(
                    try client.ask("all 200 echo_a sleep_2000 echo_b").hasPrefix(
                        "1 a,the task did not end in time,"))
            }
        }

        /// task/huge_data
        @Test(arguments: modes)
        func megabytesGoBothWays(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("post big 5000000") == "posted 1")
                #expect(try client.receiveText().hasSuffix(" 5000002"))
            }
        }

        /// task/without_onfinish
        @Test func resultsThatNobodyTakesAreWarnedOfOnce() throws {
            try ServerProcess.run("tasks", .process, ["tasks=1", "silent"]) { server in
                let client = try WebSocketClient(port: server.port)
                for n in 1...3 { #expect(try client.ask("post echo x") == "posted \(n)") }
                #expect(try client.ask("wait 5000 echo x") == "got 1 x")
                #expect(server.log.components(separatedBy: "there is no onFinish").count == 2)
            }
        }

        /// check_callback
        @Test func taskWorkersNeedAHandler() throws {
            let server = try ServerProcess.runFailing("noTask", .process, ["tasks=1"])
            #expect(server.lines.last == "error missingHandler: task workers need an onTask handler")
        }

        @Test func withoutTaskWorkersTasksAreRefused() throws {
            try ServerProcess.run("tasks") { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("post echo x") == "refused")
                #expect(try client.ask("wait 5000 echo x") == "no: the task cannot be posted")
            }
        }

        /// I5: instead of blocking, posting says that it is too much.
        @Test func whatDoesNotFitIsRefused() throws {
            try ServerProcess.run("tasks", .process, ["tasks=2"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("on 0 sleep 300") == "posted 1")
                #expect(try client.ask("fill 0 silent") == "full after true")
                #expect(try client.ask("on 7 echo x") == "refused")
                #expect(try client.ask("hello") == "hello")
            }
        }

        /// task/task_queue
        @Test func aLongQueueLosesNothing() throws {
            try ServerProcess.run("tasks", .process, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send("burst 2048 echo x")
                var answers: [String] = []
                while answers.count < 2049 { answers.append(try client.receiveText()) }
                #expect(answers.count { $0 == "finish x " } == 2048)
                #expect(answers.contains("posted 2048"))
            }
        }

        /// task/scheduler_warning, task/idle_worekr_num, idle_worekr_num
        @Test func itIsSaidThatNobodyIsIdle() throws {
            try ServerProcess.run("tasks", .process, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("post sleep 200") == "posted 1")
                #expect(try client.ask("post echo x") == "posted 2")
                #expect(try client.ask("stats").hasSuffix(" 0 2 0"))
                #expect(Set([try client.receiveText(), try client.receiveText()]) == ["finish slept ", "finish x "])
                #expect(server.log.contains("no task worker is idle"))
                try Wait.until("everybody is idle") { try client.ask("stats").hasSuffix(" 1 0 2") }
            }
        }

        // MARK: Deaths

        /// task/kill_01, task/kill_02, task/kill_task_worker_02
        @Test(arguments: modes)
        func aKilledTaskWorkerIsReplaced(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                for round in 1...3 {
                    server.signal(9, to: try server.process("task worker 1"))
                    _ = try server.number("workerStart 1", round + 1)
                    #expect(try client.ask("wait 5000 echo x") == "got 1 x")
                }
            }
        }

        /// I16, task/return_serialize_exception
        @Test(arguments: modes)
        func aCrashIsReportedAndCostsOneTask(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("post crash") == "posted 1")
                #expect(try client.ask("wait 5000 echo x") == "got 1 x")
                #expect(try server.line("taskError 1") == "taskError 1 the task worker crashed")
                #expect(try client.ask("wait 5000 crash") == "no: the task worker crashed")
                #expect(try client.ask("post throw why") == "posted 4")
                #expect(try server.line("taskError 4") == "taskError 4 the task failed: the task failed: why")
                #expect(server.log.contains("in onTask of task 1; starting it again"))
            }
        }

        @Test func aTaskThatTakesTooLongIsEnded() throws {
            try ServerProcess.run("tasks", .process, ["tasks=1", "taskTimeout=100"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("wait 10000 sleep 60000") == "no: the task worker crashed")
                #expect(try client.ask("wait 5000 echo x") == "got 1 x")
                #expect(server.log.contains("has been in onTask of task 1 for"))
            }
        }

        /// task/task_max_request
        @Test func taskWorkersAreRenewedAfterSoManyTasks() throws {
            try ServerProcess.run("tasks", .process, ["tasks=1", "maxTasks=20", "maxTasksGrace=0"]) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send("burst 200 echo x")
                var answers = 0
                while answers < 201 {
                    _ = try client.receiveText()
                    answers += 1
                }
                // The one that has done its last task is replaced, too.
                _ = try server.number("workerStart 1", 11)
                #expect(server.lines("workerStart 1").count == 11)
            }
        }

        /// A worker that ends gets the results of its tasks first; Swoole loses them.
        @Test func aWorkerThatEndsWaitsForItsTasks() throws {
            try ServerProcess.run("tasks", .process, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                try client.send("wait 5000 sleep 300")
                try Wait.until("the task is being done") {
                    try WebSocketClient(port: server.port).ask("stats").hasSuffix(" 1 0")
                }
                server.signal(15, to: worker)
                #expect(try client.receiveText() == "got 1 slept")
                _ = try server.number("workerStart 0", 2)
                #expect(try server.number("workerStop 0") == worker)
            }
        }

        /// The results of a worker that was killed go to its successor.
        @Test func resultsOutliveTheirPoster() throws {
            try ServerProcess.run("tasks", .process, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("post sleep 300") == "posted 1")
                server.signal(9, to: try server.process("worker 0"))
                #expect(try client.receiveText() == "finish slept ")
                #expect(try client.ask("post echo x") == "posted 2")
            }
        }

        // MARK: What task workers may do

        /// task/timer
        @Test(arguments: modes)
        func taskWorkersPush(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, workers: 2, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("post push 2000") == "posted 1")
                #expect(try client.receiveText() == "pushed 2")  // long before the task is over
                #expect(try client.ask("post timer") == "posted 2")
                #expect(try client.receiveText() == "timer of 2")
            }
        }

        /// task/task_in_task_worker, task/task_in_master, task/task_in_manager
        @Test(arguments: modes)
        func othersPostWithoutResults(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["tasks=2", "post"]) { server in
                #expect(try server.line("note master") == "note master -1 false false")
                #expect(try server.line("note manager") == "note manager -1 false false")
                #expect(try server.line("master posts") == "master posts true")
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("on 0 nested") == "posted 1")
                #expect(try server.line("nested") == "nested true")
                #expect(try server.line("note nested") == "note nested 1 false false")
            }
        }

        /// task/task_in_user_process
        @Test(arguments: modes)
        func customProcessesPostAndGetResults(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["tasks=1", "processes=1", "process=postOne"]) { server in
                let posted = try server.line("user posts")
                #expect(posted == "user posts true")
                #expect(try server.line("finish") == "finish 1 x mine")
            }
        }

        /// task/finish_timeout: results for which a poster has no room are refused, and nothing waits for it.
        @Test(arguments: [ServerMode.process, .single])
        func resultsWithoutRoomAreRefused(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                try client.send("flood")
                #expect(try server.line("flood") == "flood true")
                #expect(try client.ask("wait 5000 echo x") == "got 1 x")
            }
        }

        /// task/enable_coroutine, task/task_enable_coroutine_return
        @Test(arguments: [ServerMode.process, .base, .single])
        func asynchronousTasksAreDoneOneAfterTheOther(mode: ServerMode) throws {
            try ServerProcess.run("tasks", mode, ["tasks=1", "async"]) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("post rest 100") == "posted 1")
                #expect(try client.ask("post echo x") == "posted 2")
                #expect(try client.receiveText() == "finish rested ")
                #expect(try client.receiveText() == "finish x ")
                #expect(try client.ask("wait 5000 throw y").hasPrefix("no: the task failed"))
            }
        }

        /// memory_leak/task
        @Test func nothingIsLeftOfTasks() throws {
            try ServerProcess.run("tasks", .process, ["tasks=1"]) { server in
                let client = try WebSocketClient(port: server.port)
                let worker = try server.process("worker 0")
                func round() throws {
                    try client.send("burst 2000 echo x")
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
