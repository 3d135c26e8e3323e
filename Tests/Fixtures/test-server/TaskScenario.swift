import Glibc
import SwiftServer
import TestProtocol

/// Tasks, messages between processes and custom processes.
@MainActor enum TaskScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        Scenarios.reportClosing(server)
        server.onOpen { server, request in welcome(request.fd, server) }
        if configuration.ignoresResults != true { reportResults(server) }
        reportProcesses(server)
        if configuration.isAsync != true {
            server.onTask { server, task in try TaskJobs.work(server, task) }
        } else {
            server.onTask { server, task async throws -> [UInt8]? in try await TaskJobs.workSlowly(server, task) }
        }
        server.onPipeMessage { server, from, bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            let message = (try? decoded(PipeMessage.self, text)) ?? .text(String(text.prefix(8)))
            Event.message(to: server.workerID, from: from, size: bytes.count, message).report()
            switch message {
            case .ask(let number): server.sendMessage(encoded(PipeMessage.answer(number)), to: from)
            case .push(let fd): server.answer(server.workerID, to: fd)
            case .answer, .text: break
            }
        }
        server.onMessage { server, frame in await receive(server, frame) }
        if configuration.postsEarly == true { postEarly(server, configuration) }
        if let process = configuration.process { addProcesses(server, configuration.processes ?? 1, process) }
    }

    private static func reportResults(_ server: WebSocketServer) {
        server.onFinish { server, id, bytes in
            let reply = TaskReply(bytes)
            guard let reply, let fd = reply.client else {
                return Event.finish(id: id.rawValue, reply?.result).report()
            }
            var result = reply.result
            if case .text(let text) = result, text.utf8.count > 64 { result = .textOf(bytes: text.utf8.count) }
            server.push(encoded(Finished(result)), to: fd)
        }
        server.onTaskError { server, id, error in
            Event.taskError(worker: server.workerID, id: id.rawValue, error: error.description).report()
        }
    }

    static func reportProcesses(_ server: WebSocketServer) {
        server.onBeforeShutdown { _ in Event.beforeShutdown(pid: getpid()).report() }
        server.onBeforeReload { _ in Event.beforeReload(pid: getpid()).report() }
        server.onAfterReload { _ in Event.afterReload(pid: getpid()).report() }
        server.onWorkerExit { server, id in
            Event.workerExit(id: id, pid: getpid(), server.workerStatus(of: id)).report()
        }
        server.onWorkerError { _, failure in
            Event.workerError(
                id: failure.workerID, pid: failure.pid, exitCode: failure.exitCode, signal: failure.signal
            ).report()
        }
    }

    private static func postEarly(_ server: WebSocketServer, _ configuration: Configuration) {
        func post(_ server: WebSocketServer, _ poster: Event.Poster, _ name: String) {
            Event.posted(from: poster, server.task(.note(name), for: nil).isAccepted).report()
            Event.sent(from: poster, server.sendMessage(encoded(PipeMessage.text(name)), to: 0)).report()
        }
        server.onStart { server in
            Scenarios.reportReady(server, configuration)
            post(server, .master, "master")
        }
        server.onManagerStart { server in
            Event.managerStart(pid: getpid()).report()
            post(server, .manager, "manager")
        }
    }

    private static func addProcesses(_ server: WebSocketServer, _ count: Int, _ process: CustomProcess) {
        for index in 0..<count {
            if process == .loop {
                server.addProcess("helper \(index)") { server async in
                    while true {
                        await server.sleep(for: .milliseconds(10))
                        server.broadcast("loop")
                    }
                }
                continue
            }
            server.addProcess("helper \(index)") { server in
                Event.process(index, id: server.workerID, pid: getpid()).report()
                switch process {
                case .idle, .loop: break
                case .block: while true { sleep(100) }
                case .ignore:
                    signal(SIGTERM, SIG_IGN)
                    signal(__libc_current_sigrtmin(), SIG_IGN)
                    while true { sleep(100) }
                case .crash: server.tick(every: .milliseconds(20)) { _ in fatalError("on purpose") }
                case .postMany: for _ in 0..<6 { server.task(.sleep(.milliseconds(200)), for: nil) }
                case .postOne:
                    Event.posted(from: .customProcess, server.task(.echo("mine"), for: nil).isAccepted).report()
                case .fail: throw TaskError.failed("on purpose")
                case .stop:
                    server.after(.milliseconds(1)) {
                        Event.accepted(server.stats().accepted).report()
                        server.shutdown()
                    }
                case .tick: server.tick(every: .milliseconds(10)) { _ in server.broadcast("tick \(index)") }
                }
            }
        }
    }

    // MARK: In workers

    private static func receive(_ server: WebSocketServer, _ frame: Frame) async {
        guard let command = command(frame) else {
            server.push(frame, to: frame.fd)
            return
        }
        if let answer = await run(command, frame.fd, server) { server.answer(answer, to: frame.fd) }
    }

    private static func run(
        _ command: Command, _ fd: ConnectionID, _ server: WebSocketServer
    ) async -> Commands.Answer? {
        switch command {
        case .post(let job, let worker?):
            return Posting(server.task(encoded(TaskOrder(job, for: fd)), on: worker))
        case .post(let job, nil): return Posting(server.task(job, for: fd))
        case .wait(let job, let timeout):
            do throws(TaskError) {
                let data = try await server.task(encoded(TaskOrder(job, for: fd)), timeout: timeout)
                return outcome(.success(data.map { [UInt8]($0.utf8) }))
            } catch { return outcome(.failure(error)) }
        case .callBack(let job):
            server.task([UInt8](encoded(TaskOrder(job, for: fd)).utf8)) { server.answer(outcome($0), to: fd) }
        case .all(let jobs, let timeout):
            let orders = jobs.map { [UInt8](encoded(TaskOrder($0, for: fd)).utf8) }
            return await server.tasks(orders, timeout: timeout).map(outcome)
        case .burst(let count, let job):
            var posted = 0
            for _ in 0..<count where server.task(job, for: fd).isAccepted { posted += 1 }
            return posted
        case .fillTasks(let job):
            let data = Array(encoded(TaskOrder(job, for: fd)).utf8) + [UInt8](repeating: 32, count: 100_000)
            var posted = 0
            while server.task(data, on: 0).isAccepted { posted += 1 }
            return posted > 10 ? Posting(server.task(data, on: 0)) : .posted(UInt64(posted))
        case .sendMessage(let message, let worker): return server.sendMessage(encoded(message), to: worker)
        case .sendLargeMessage(let worker):
            return server.sendMessage([UInt8](repeating: 120, count: 800_000), to: worker)
        case .status(let worker):
            return ProcessStatus(server.workerStatus(of: worker), pid: server.workerPID(of: worker) ?? 0)
        case .stop(let worker): return server.stop(worker: worker)
        case .flood:
            server.task(.flood, for: fd)
            usleep(500_000)  // nobody takes results meanwhile
        case .timer(let delay, let holdsWorker):
            server.after(delay, holdsWorker: holdsWorker) {
                Event.timer(pid: getpid()).report()
                server.answer(getpid(), to: fd)
            }
        default: return Commands.common(command, server)
        }
        return nil
    }

    private static func outcome(_ result: Result<[UInt8]?, TaskError>) -> TaskOutcome {
        switch result {
        case .success(let bytes): .result(bytes.flatMap { TaskReply($0)?.result })
        case .failure(let error): .failure(error.description)
        }
    }
}

extension TaskReply {
    init?(_ bytes: [UInt8]) {
        guard let reply = try? decoded(TaskReply.self, String(decoding: bytes, as: UTF8.self)) else { return nil }
        self = reply
    }
}

@MainActor extension Server {
    @discardableResult func task(_ job: Job, for client: ConnectionID?) -> TaskPosting {
        task(encoded(TaskOrder(job, for: client)))
    }
}
