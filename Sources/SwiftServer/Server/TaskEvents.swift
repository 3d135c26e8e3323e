/// The events of tasks, messages between processes, and the user's own processes.
extension ServerEvents where Self: Server {
    /// A task, in a task worker. It may block as long as it likes: nothing else is done there meanwhile.
    ///
    /// What it has to say to the poster it says with ``ServerTask/finish(_:)-([UInt8])``. When it throws, the poster hears
    /// of that, and the task worker goes on.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) throws -> Void) {
        onTask { server, task -> [UInt8]? in
            try handler(server, task)
            return nil
        }
    }

    /// The same with a result for the poster; `nil`: none.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) throws -> [UInt8]?) {
        handlers.task = { runtime, task in
            MainActor.assumeIsolated {
                do {
                    if let result = try handler(runtime.server(as: Self.self), task) { task.finish(result) }
                    runtime.endTask()
                } catch {
                    runtime.endTask(failure: "\(error)")
                }
            }
        }
    }

    /// The same with text as the result.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) throws -> String?) {
        onTask { server, task -> [UInt8]? in try handler(server, task).map { [UInt8]($0.utf8) } }
    }

    /// A task as an asynchronous handler. While it is suspended timers fire in its process, and further tasks wait.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) async throws -> Void) {
        onTask { server, task async throws -> [UInt8]? in
            try await handler(server, task)
            return nil
        }
    }

    /// The same with a result for the poster; `nil`: none.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) async throws -> [UInt8]?) {
        handlers.task = { runtime, task in
            let isDone = runtime.lanes.runners.start {
                do {
                    if let result = try await handler(runtime.server(as: Self.self), task) { task.finish(result) }
                    runtime.endTask()
                } catch {
                    runtime.endTask(failure: "\(error)")
                }
            } whenLate: {
            }
            if !isDone { runtime.suspendTask() }
        }
    }

    /// The same with text as the result.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) async throws -> String?) {
        onTask { server, task async throws -> [UInt8]? in try await handler(server, task).map { [UInt8]($0.utf8) } }
    }

    /// A result of a task that this worker has posted, or that its predecessor has.
    public func onFinish(_ handler: @escaping @MainActor (Self, TaskID, [UInt8]) -> Void) {
        let direct = onLoop(handler)
        handlers.finish = { direct($0.server(as: Self.self), $1, $2) }
    }

    /// A task that this worker has posted threw an error, or its process died. Without this handler it is a line in the
    /// log.
    public func onTaskError(_ handler: @escaping @MainActor (Self, TaskID, TaskError) -> Void) {
        let direct = onLoop(handler)
        handlers.taskError = { direct($0.server(as: Self.self), $1, $2) }
    }

    /// Another process has said something by ``Server/sendMessage(_:to:)-([UInt8],_)``. The number is that process's, -1
    /// for the master and the manager. In workers, task workers and the user's processes.
    public func onPipeMessage(_ handler: @escaping @MainActor (Self, Int, [UInt8]) -> Void) {
        let direct = onLoop(handler)
        handlers.pipeMessage = { direct($0.server(as: Self.self), $1, $2) }
    }

    /// Adds a process of yours: started with the server, replaced when it ends, stopped with it, untouched by reloads. It
    /// has no connections of its own, and everything else that a worker has: it can push, publish, list connections,
    /// post tasks and get messages, and has timers.
    ///
    /// Its number, for ``Server/sendMessage(_:to:)-([UInt8],_)``, is ``Server/workerID(ofProcess:)``.
    ///
    /// - Parameters:
    ///   - name: for `ps` and the log.
    ///   - body: runs once, at the start of the process. When it has returned, timers and messages go on. It may also block
    ///     for good: then SIGTERM ends it at once.
    public func addProcess(_ name: String, _ body: @escaping @MainActor (Self) throws -> Void) {
        add(name) { runtime in
            do {
                try MainActor.assumeIsolated { try body(runtime.server(as: Self.self)) }
            } catch {
                runtime.fail("\(error)")
            }
        }
    }

    /// The same with asynchronous code, which may run as long as it likes. When the process is told to end while it is
    /// suspended, it is not resumed.
    public func addProcess(_ name: String, _ body: @escaping @MainActor (Self) async throws -> Void) {
        add(name) { runtime in
            _ = runtime.lanes.runners.start {
                do { try await body(runtime.server(as: Self.self)) } catch { runtime.fail("\(error)") }
            } whenLate: {
            }
        }
    }

    private func add(_ name: String, _ body: @escaping (WorkerRuntime) -> Void) {
        precondition(masterPID == 0, "processes are added before start()")
        handlers.processes.append((name, body))
    }
}
