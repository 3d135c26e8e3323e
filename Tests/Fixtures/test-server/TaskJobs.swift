import Glibc
import SwiftServer
import TestProtocol

/// The jobs of task workers.
@MainActor enum TaskJobs {
    static func work(_ server: WebSocketServer, _ task: ServerTask) throws -> String? {
        let order = try decoded(TaskOrder.self, task.text)
        func reply(_ result: TaskResult) -> String { encoded(TaskReply(result, for: order.client)) }
        switch order.job {
        case .echo(let text): return reply(.text(text))
        case .who: return reply(.process(WorkerIdentity(server), isTaskWorker: server.isTaskWorker))
        case .origin: return reply(.origin(worker: task.workerID, id: task.id.rawValue))
        case .note(let text):
            Event.note(
                text, worker: task.workerID, wantsResult: task.wantsResult, wasTaken: task.finish("x")
            ).report()
        case .twice:
            task.finish(reply(.text("first")))
            task.finish(reply(.text("second")))
        case .sleep(let time), .rest(let time):
            usleep(UInt32(time / .microseconds(1)))
            return reply(.text("slept"))
        case .fail(let cause): throw TaskError.failed(cause)
        case .crash: fatalError("on purpose")
        case .push(let time):
            if let fd = order.client { server.answer(server.workerID, to: fd) }
            usleep(UInt32(time / .microseconds(1)))
        case .timer:
            server.after(.milliseconds(1)) {
                if let fd = order.client { server.answer(server.workerID, to: fd) }
            }
        case .nested: Event.posted(from: .taskWorker, server.task(.note("nested"), for: nil).isAccepted).report()
        case .big(let size): return reply(.text(String(repeating: "b", count: size)))
        case .flood:
            let result = [UInt8](repeating: 120, count: 100_000)
            var sent = 0
            while sent < 10_000, task.finish(result) { sent += 1 }
            Event.flood(wasRefused: sent > 10 && sent < 10_000).report()
        case .silent: break
        case .close(let fd):
            let count = server.connections.count
            let results = [
                server.exists(fd), server.push("bye", to: fd).isAccepted, server.close(fd, code: 4000).isAccepted,
            ]
            return reply(.text("\(count) connections: \(results)"))
        }
        return nil
    }

    static func workSlowly(_ server: WebSocketServer, _ task: ServerTask) async throws -> [UInt8]? {
        let order = try decoded(TaskOrder.self, task.text)
        if case .rest(let time) = order.job {
            await server.sleep(for: time)
            return Array(encoded(TaskReply(.text("rested"), for: order.client)).utf8)
        }
        await Task.yield()
        return try work(server, task).map { Array($0.utf8) }
    }
}
