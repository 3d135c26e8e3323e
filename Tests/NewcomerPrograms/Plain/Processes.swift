// Programs of tasks, timers, processes and shared memory.
import SwiftServer

func numbers(_ text: String) throws -> [UInt8] {
    guard let number = UInt8(text) else { throw Refused() }
    return [number]
}

@MainActor enum Processes {
    /// Every form of a task's result; the last one counts.
    static func tasks() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.settings.taskWorkerCount = 1
        server.onTask { _, _ in }
        server.onTask { _, task in
            print(task.text)
            print("done")
        }
        server.onTask { _, task in
            task.finish("50 %")
            task.finish("100 %")
        }
        server.onTask { _, task in task.finish("done") }
        server.onTask { _, _ in return nil }
        server.onTask { _, task in "done \(task.text)" }
        server.onTask { _, task in try numbers(task.text) }
        server.onTask { _, task in [1, 2, 3] }
        server.onTask { _, task in
            guard !task.text.isEmpty else { return nil }
            return "done"
        }
        server.onTask { server, task in
            await server.sleep(for: .milliseconds(1))
        }
        server.onTask { server, task in
            await server.sleep(for: .milliseconds(1))
            return nil
        }
        server.onTask { server, task in
            await server.sleep(for: .milliseconds(1))
            return "done \(task.text)"
        }
        server.onMessage { server, frame in
            let result = try await server.task(frame.text, timeout: .seconds(5))
            server.push(result ?? "nothing", to: frame.fd)
        }
        return server
    }

    static func results() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.settings.taskWorkerCount = 1
        var askers: [TaskID: ConnectionID] = [:]
        server.onTask { _, task in
            print("working on \(task.text)")
            return task.text.uppercased()
        }
        server.onMessage { server, frame in
            guard let id = server.task(frame.text).id else { return }
            askers[id] = frame.fd
        }
        server.onFinish { server, id, result in
            guard let fd = askers.removeValue(forKey: id) else { return }
            server.push(String(decoding: result, as: UTF8.self), to: fd)
        }
        server.onTaskError { server, id, error in print("task \(id): \(error)") }
        return server
    }

    static func timers() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onWorkerStart { server, id in
            guard id == 0 else { return }
            var rounds = 0
            server.tick(every: .milliseconds(2)) { timer in
                rounds += 1
                server.broadcast("tick")
                if rounds == 5000 { server.clearTimer(timer) }
            }
            server.after(.milliseconds(1)) { print("once") }
        }
        server.onMessage { _, _ in }
        return server
    }

    static func failingStart() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.settings.logLevel = .none
        server.onWorkerStart { _, id in
            throw Refused()
        }
        server.onMessage { _, _ in }
        return server
    }

    static func connectsToADatabase() -> WebSocketServer {
        func connect() async throws -> String { "connected" }
        let server = WebSocketServer(port: 0, mode: .single)
        var database = "none"
        server.onWorkerStart { _, _ in database = try await connect() }
        server.onMessage { server, frame in server.push(database, to: frame.fd) }
        return server
    }

    static func processes() -> WebSocketServer {
        let server = WebSocketServer(port: 0)
        server.settings.workerCount = 2
        server.addProcess("clock") { server in
            server.tick(every: .seconds(1)) { _ in server.broadcast("tick") }
        }
        server.addProcess("reader") { server in
            while true { await server.sleep(for: .seconds(1)) }
        }
        server.onPipeMessage { server, sender, bytes in
            print("\(sender): \(String(decoding: bytes, as: UTF8.self))")
        }
        server.onMessage { server, frame in
            guard let clock = server.workerID(ofProcess: "clock") else { return }
            server.sendMessage(frame.text, to: clock)
        }
        return server
    }

    static func lifeCycle() -> WebSocketServer {
        let server = WebSocketServer(port: 0)
        server.onStart { server in print("serving on port \(server.port)") }
        server.onShutdown { _ in print("bye") }
        server.onManagerStart { _ in print("manager") }
        server.onManagerStop { _ in print("manager") }
        server.onWorkerStart { _, id in print("worker \(id)") }
        server.onWorkerExit { _, id in print("worker \(id) is ending") }
        server.onWorkerStop { _, id in print("worker \(id) has ended") }
        server.onWorkerError { _, failure in print(failure) }
        server.onBeforeReload { _ in print("reload") }
        server.onAfterReload { _ in print("reloaded") }
        server.onBeforeShutdown { _ in print("stopping") }
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        return server
    }

    static func tables() throws -> WebSocketServer {
        let visits = SharedColumn<Int>("visits")
        let users = try SharedTable(rows: 100, columns: visits)
        let total = try SharedAtomic()
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessage { server, frame in
            try users.increment(frame.text, visits)
            total.add()
            server.push("\(users[frame.text, visits] ?? 0) of \(total.load())", to: frame.fd)
        }
        return server
    }
}
