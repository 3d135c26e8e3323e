/// The events of tasks, messages between processes, and custom processes.
extension ServerEvents where Self: Server {
    /// Called with a task, in a task worker. It may block: a task worker does nothing else meanwhile.
    ///
    /// It sends results to the poster with ``ServerTask/finish(_:)-([UInt8])``. When it throws, the poster is notified,
    /// and the task worker continues.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) throws -> Void) {
        onTask { server, task -> [UInt8]? in
            try handler(server, task)
            return nil
        }
    }

    /// Called with a task, in a task worker. Returns the result for the poster; `nil`: none.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) throws -> [UInt8]?) {
        let owner = HandlerOwner(self)
        taskHandlers.task = { runner, task in
            MainActor.assumeIsolated {
                do {
                    if let result = try handler(owner.object, task) { task.finish(result) }
                    runner.end()
                } catch {
                    runner.end(failure: "\(error)")
                }
            }
        }
    }

    /// Called with a task, in a task worker. Returns the result for the poster as text; `nil`: none.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) throws -> String?) {
        onTask { server, task -> [UInt8]? in try handler(server, task).map { [UInt8]($0.utf8) } }
    }

    /// Called with a task, in a task worker. While the handler is suspended timers fire in its process, and further
    /// tasks are queued.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) async throws -> Void) {
        onTask { server, task async throws -> [UInt8]? in
            try await handler(server, task)
            return nil
        }
    }

    /// Called with a task, in a task worker. Asynchronous, with a result for the poster; `nil`: none.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) async throws -> [UInt8]?) {
        let owner = HandlerOwner(self)
        taskHandlers.task = { runner, task in
            let hasEnded = runner.runners.start {
                do {
                    if let result = try await handler(owner.object, task) { task.finish(result) }
                    runner.end()
                } catch {
                    runner.end(failure: "\(error)")
                }
            }
            if !hasEnded { runner.suspend() }
        }
    }

    /// Called with a task, in a task worker. Asynchronous, with a result for the poster as text; `nil`: none.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) async throws -> String?) {
        onTask { server, task async throws -> [UInt8]? in try await handler(server, task).map { [UInt8]($0.utf8) } }
    }

    /// Called with a result of a task that this worker, or its predecessor, has posted.
    public func onFinish(_ handler: @escaping @MainActor (Self, TaskID, [UInt8]) -> Void) {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        taskHandlers.finish = { id, result in owner.with { direct($0, id, result) } }
    }

    /// Called when a task that this worker has posted threw an error, or its process died. Without this handler the
    /// failure is logged.
    public func onTaskError(_ handler: @escaping @MainActor (Self, TaskID, TaskError) -> Void) {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        taskHandlers.taskError = { id, error in owner.with { direct($0, id, error) } }
    }

    /// Called with a message that another process has sent by ``Server/sendMessage(_:to:)-([UInt8],_)``. The number is
    /// that process's, -1 for the master and the manager. In workers, task workers and custom processes.
    public func onPipeMessage(_ handler: @escaping @MainActor (Self, Int, [UInt8]) -> Void) {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        processHandlers.pipeMessage = { id, message in owner.with { direct($0, id, message) } }
    }

    /// Adds a custom process: started with the server, replaced when it ends, stopped with it, untouched by reloads. It
    /// has no connections of its own, but everything else that a worker has: it can push, publish, list connections,
    /// post tasks and receive messages, and has timers.
    ///
    /// Its number, for ``Server/sendMessage(_:to:)-([UInt8],_)``, is ``Server/workerID(ofProcess:)``.
    ///
    /// - Parameters:
    ///   - name: for `ps` and the log.
    ///   - body: runs once, at the start of the process. After it has returned, timers and messages continue. It may
    ///     also block for good: then SIGTERM ends it at once.
    public func addProcess(_ name: String, _ body: @escaping @MainActor (Self) throws -> Void) {
        let owner = HandlerOwner(self)
        add(name) { worker in
            do {
                try MainActor.assumeIsolated { try body(owner.object) }
            } catch {
                worker.fail("\(error)")
            }
        }
    }

    /// Adds a custom process with asynchronous code. When the process has to end while the code is suspended, it is not
    /// resumed.
    public func addProcess(_ name: String, _ body: @escaping @MainActor (Self) async throws -> Void) {
        let owner = HandlerOwner(self)
        add(name) { worker in
            worker.lanes.runners.start {
                do { try await body(owner.object) } catch { worker.fail("\(error)") }
            }
        }
    }

    private func add(_ name: String, _ body: @escaping (WorkerContext) -> Void) {
        precondition(context == nil, "processes are added before start()")
        processHandlers.processes.append((name, body))
    }
}
