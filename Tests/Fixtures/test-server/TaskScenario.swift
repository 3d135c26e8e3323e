import Glibc
import SwiftServer

/// Tasks, messages between processes and a process of its own. A message "COMMAND ARGUMENTS" is a command to the worker;
/// a task is "FD JOB ARGUMENT", and its results begin with the FD that is to hear of them.
@MainActor enum TaskScenario {
    static func register(_ server: WebSocketServer, _ options: Options) {
        Scenarios.tellClosing(server)
        server.onOpen { server, request in server.push("welcome \(request.fd)", to: request.fd) }
        if options["silent"] == nil { tellResults(server) }
        tellProcesses(server)
        if options["async"] == nil {
            server.onTask { server, task in try work(server, task) }
        } else {
            server.onTask { server, task async throws -> [UInt8]? in try await workSlowly(server, task) }
        }
        server.onPipeMessage { server, from, bytes in
            let text = String(decoding: bytes.prefix(64), as: UTF8.self)
            print("pipe \(server.workerID) \(from) \(bytes.count) \(text)")
            if text.hasPrefix("ask ") { server.sendMessage("answer \(text.dropFirst(4))", to: from) }
            if text.hasPrefix("push "), let fd = UInt64(text.dropFirst(5)) {
                server.push("pushed by \(server.workerID)", to: ConnectionID(rawValue: fd))
            }
        }
        server.onMessage { server, frame in await command(server, frame) }
        if options["post"] != nil { postEarly(server) }
        if let count = options.number("processes") { addProcesses(server, count, options) }
    }

    private static func tellResults(_ server: WebSocketServer) {
        server.onFinish { server, id, bytes in
            let text = String(decoding: bytes.prefix(64), as: UTF8.self)
            let words = text.split(separator: " ", maxSplits: 1)
            guard let fd = words.first.flatMap({ UInt64($0) }) else { return print("finish \(id) \(text)") }
            server.push(
                "finish \(words.count > 1 ? words[1] : "") \(bytes.count > 64 ? "\(bytes.count)" : "")",
                to: ConnectionID(rawValue: fd))
        }
        server.onTaskError { server, id, error in print("taskError \(id) \(error)") }
    }

    static func tellProcesses(_ server: WebSocketServer) {
        server.onBeforeShutdown { _ in print("beforeShutdown \(getpid())") }
        server.onBeforeReload { _ in print("beforeReload \(getpid())") }
        server.onAfterReload { _ in print("afterReload \(getpid())") }
        server.onWorkerExit { server, id in
            print("workerExit \(id) \(getpid()) \(server.workerStatus(of: id).map { "\($0)" } ?? "none")")
        }
        server.onWorkerError { _, failure in
            print("workerError \(failure.workerID) \(failure.exitCode) \(failure.signal) \(failure.pid)")
        }
    }

    private static func postEarly(_ server: WebSocketServer) {
        server.onStart { server in
            print("ready \(server.port) \(getpid())")
            print("master posts \(server.task("0 note master").isAccepted)")
            print("master tells \(server.sendMessage("from the master", to: 0))")
        }
        server.onManagerStart { server in
            print("managerStart \(getpid())")
            print("manager posts \(server.task("0 note manager").isAccepted)")
            print("manager tells \(server.sendMessage("from the manager", to: 0))")
        }
    }

    private static func addProcesses(_ server: WebSocketServer, _ count: Int, _ options: Options) {
        if options["process"] == "loop" {
            server.addProcess("looper") { server async in
                print("looper \(server.workerID) \(getpid())")
                while true {
                    await server.sleep(for: .milliseconds(10))
                    server.broadcast("loop")
                }
            }
            return
        }
        for index in 0..<count {
            server.addProcess("helper \(index)") { server in
                print("process \(index) \(server.workerID) \(getpid())")
                switch options["process"] {
                case "block": while true { sleep(100) }
                case "ignore":
                    signal(SIGTERM, SIG_IGN)
                    signal(firstRealTimeSignal(), SIG_IGN)
                    while true { sleep(100) }
                case "crash": server.tick(every: .milliseconds(20)) { _ in fatalError("on purpose") }
                case "post": for _ in 0..<6 { server.task("0 sleep 200") }
                case "postOne": print("user posts \(server.task("x echo mine").isAccepted)")
                case "throw": throw TaskError.failed("on purpose")
                case "stop":
                    server.after(.milliseconds(1)) {
                        print("process counts \(server.stats().accepted)")
                        server.shutdown()
                    }
                case "tick": server.tick(every: .milliseconds(10)) { _ in server.broadcast("tick \(index)") }
                default: break
                }
            }
        }
    }

    private static func firstRealTimeSignal() -> Int32 { __libc_current_sigrtmin() }

    // MARK: In workers

    private static func command(_ server: WebSocketServer, _ frame: Frame) async {
        let words = frame.text.split(separator: " ").map(String.init)
        let fd = frame.fd
        let number = words.count > 1 ? Int(words[1]) ?? 0 : 0
        let rest = "\(fd) " + words.dropFirst().joined(separator: " ")
        let later = "\(fd) " + words.dropFirst(2).joined(separator: " ")
        switch words[0] {
        case "post": server.push(describe(server.task(rest)), to: fd)
        case "on": server.push(describe(server.task(later, on: number)), to: fd)
        case "wait":
            do throws(TaskError) {
                let answer = try await server.task(later, timeout: .milliseconds(number))
                server.push("got \(answer ?? "nothing")", to: fd)
            } catch { server.push("no: \(error)", to: fd) }
        case "then":
            server.task([UInt8](rest.utf8)) { result in
                switch result {
                case .success(let bytes):
                    server.push("then \(bytes.map { String(decoding: $0, as: UTF8.self) } ?? "nothing")", to: fd)
                case .failure(let error): server.push("then no: \(error)", to: fd)
                }
            }
        case "all":
            let jobs = words.dropFirst(2).map { Array("\(fd) \($0.replacing("_", with: " "))".utf8) }
            let results = await server.tasks(jobs, timeout: .milliseconds(number))
            let texts = results.map { result in
                switch result {
                case .success(let bytes): bytes.map { String(decoding: $0, as: UTF8.self) } ?? "nothing"
                case .failure(let error): "\(error)"
                }
            }
            server.push(texts.joined(separator: ","), to: fd)
        case "burst":
            var posted = 0
            for _ in 0..<number where server.task(later).isAccepted { posted += 1 }
            server.push("posted \(posted)", to: fd)
        case "fill":
            let data = Array(later.utf8) + [UInt8](repeating: 32, count: 100_000)
            var posted = 0
            while server.task(data, on: 0).isAccepted { posted += 1 }
            server.push("\(server.task(data, on: 0)) after \(posted > 10)", to: fd)
        case "message":
            server.push("\(server.sendMessage(words.dropFirst(2).joined(separator: " "), to: number))", to: fd)
        case "bigMessage":
            server.push("\(server.sendMessage([UInt8](repeating: 120, count: 800_000), to: number))", to: fd)
        case "status":
            let status = server.workerStatus(of: number)
            server.push("\(status.map { "\($0)" } ?? "none") \(server.workerPID(of: number) ?? 0)", to: fd)
        case "stop": server.push("\(server.stop(worker: words.count > 1 ? number : nil))", to: fd)
        case "reload": server.reload(onlyTaskWorkers: number == 1)
        case "shutdown": server.shutdown()
        case "stats":
            let stats = server.stats()
            server.push(
                "\(stats.idleWorkers) \(stats.idleTaskWorkers) \(stats.tasksWaiting) \(stats.tasksDone)", to: fd)
        case "flood":
            server.task("\(fd) flood")
            usleep(500_000)  // nobody takes results meanwhile
        case "block": usleep(UInt32(number) * 1000)
        case "sleep": await server.sleep(for: .milliseconds(number))
        case "timer":
            server.after(.milliseconds(number), holdsWorker: words.count > 2) {
                print("timer \(getpid())")
                server.push("timer", to: fd)
            }
        case "who": server.push("\(server.workerID) \(getpid())", to: fd)
        case "crash": fatalError("on purpose")
        default: server.push(frame, to: fd)
        }
    }

    private static func describe(_ posting: TaskPosting) -> String {
        switch posting {
        case .posted(let id): "posted \(id)"
        case .full: "full"
        case .refused: "refused"
        }
    }

    // MARK: In task workers

    private static func work(_ server: WebSocketServer, _ task: ServerTask) throws -> String? {
        let words = task.text.split(separator: " ").map(String.init)
        let fd = ConnectionID(rawValue: UInt64(words[0]) ?? 0)
        let argument = words.count > 2 ? words[2] : ""
        switch words[1] {
        case "echo": return "\(words[0]) \(argument)"
        case "who": return "\(words[0]) \(server.workerID) \(server.isTaskWorker) \(getpid())"
        case "from": return "\(words[0]) \(task.workerID) \(task.id)"
        case "note": print("note \(argument) \(task.workerID) \(task.wantsResult) \(task.finish("x"))")
        case "twice":
            task.finish("\(words[0]) first")
            task.finish("\(words[0]) second")
        case "sleep":
            usleep(UInt32(argument)! * 1000)
            return "\(words[0]) slept"
        case "throw": throw TaskError.failed(argument)
        case "crash": fatalError("on purpose")
        case "push":
            server.push("pushed \(server.workerID)", to: fd)
            usleep(UInt32(argument)! * 1000)
        case "timer":
            server.after(.milliseconds(1)) { server.push("timer of \(server.workerID)", to: fd) }
        case "nested":
            print("nested \(server.task("0 note nested").isAccepted)")
        case "big": return "\(words[0]) " + String(repeating: "b", count: Int(argument)!)
        case "flood":
            let result = [UInt8](repeating: 120, count: 100_000)
            var sent = 0
            while sent < 10_000, task.finish(result) { sent += 1 }
            print("flood \(sent > 10 && sent < 10_000)")
        case "silent": break
        default: return nil
        }
        return nil
    }

    private static func workSlowly(_ server: WebSocketServer, _ task: ServerTask) async throws -> [UInt8]? {
        let words = task.text.split(separator: " ").map(String.init)
        if words[1] == "rest" {
            await server.sleep(for: .milliseconds(Int(words[2])!))
            return Array("\(words[0]) rested".utf8)
        }
        await Task.yield()
        return try work(server, task).map { Array($0.utf8) }
    }
}
