/// The events of tasks, messages between processes, and custom processes.
extension ServerEvents where Self: Server {
    /// Called with a task, in a task worker. It may block: a task worker does nothing else meanwhile.
    ///
    /// It sends results to the poster with ``ServerTask/finish(_:)-([UInt8])->ReplyResult``. When it throws, the
    /// poster is notified, and the task worker continues.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) throws -> Void) {
        registerTask { server, task in
            try handler(server, task)
            return nil
        }
    }

    /// Called with a task, in a task worker. Returns the result for the poster, as text or bytes; `nil`: none.
    public func onTask<Output: TaskOutput>(_ handler: @escaping @MainActor (Self, ServerTask) throws -> Output) {
        registerTask { server, task in try handler(server, task).taskResult }
    }

    /// Called with a task, in a task worker. Returns the result for the poster as text, or `nil`: none.
    @_disfavoredOverload
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) throws -> String?) {
        registerTask { server, task in try handler(server, task).taskResult }
    }

    /// Called with a task, in a task worker. While the handler is suspended timers fire in its process, and further
    /// tasks are queued.
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) async throws -> Void) {
        registerAsyncTask { server, task in
            try await handler(server, task)
            return nil
        }
    }

    /// Called with a task, in a task worker. Asynchronous, with a result for the poster, as text or bytes; `nil`: none.
    public func onTask<Output: TaskOutput>(
        _ handler: @escaping @MainActor (Self, ServerTask) async throws -> Output
    ) {
        registerAsyncTask { server, task in try await handler(server, task).taskResult }
    }

    /// Called with a task, in a task worker. Asynchronous, with a result for the poster as text, or `nil`: none.
    @_disfavoredOverload
    public func onTask(_ handler: @escaping @MainActor (Self, ServerTask) async throws -> String?) {
        registerAsyncTask { server, task in try await handler(server, task).taskResult }
    }

    private func registerTask(_ handler: @escaping @MainActor (Self, ServerTask) throws -> [UInt8]?) {
        let owner = HandlerOwner(self)
        register(.task) {
            taskHandlers.task = { runner, task in
                MainActor.assumeIsolated {
                    do {
                        runner.end(try handler(owner.object, task))
                    } catch {
                        runner.end(failure: "\(error)")
                    }
                }
            }
        }
    }

    private func registerAsyncTask(_ handler: @escaping @MainActor (Self, ServerTask) async throws -> [UInt8]?) {
        let owner = HandlerOwner(self)
        register(.task) {
            taskHandlers.task = { runner, task in
                let late = runner.runners.start {
                    do {
                        runner.end(try await handler(owner.object, task))
                    } catch {
                        runner.end(failure: "\(error)")
                    }
                }
                if late != nil { runner.suspend() }
            }
        }
    }

    // MARK: Results and messages

    /// Called with a result of a task that this worker, or its predecessor, has posted.
    public func onFinish(_ handler: @escaping @MainActor (Self, TaskID, [UInt8]) throws -> Void) {
        register(.finish) { taskHandlers.finish = direct(.finish, handler) }
    }

    /// Called with a result of a task. While the handler is suspended, it may be called with further results.
    public func onFinish(_ handler: @escaping @MainActor (Self, TaskID, [UInt8]) async throws -> Void) {
        register(.finish) { taskHandlers.finish = suspending(.finish, handler) }
    }

    /// Called when a task that this worker has posted threw an error, or its process died. Without this handler the
    /// failure is logged.
    public func onTaskError(_ handler: @escaping @MainActor (Self, TaskID, TaskError) throws -> Void) {
        register(.taskError) { taskHandlers.taskError = direct(.taskError, handler) }
    }

    /// Called when a task that this worker has posted has failed. While the handler is suspended, it may be called with
    /// further failures.
    public func onTaskError(_ handler: @escaping @MainActor (Self, TaskID, TaskError) async throws -> Void) {
        register(.taskError) { taskHandlers.taskError = suspending(.taskError, handler) }
    }

    /// Called with a message that another process has sent by ``Server/sendMessage(_:to:)-([UInt8],_)``. The number is
    /// that process's, -1 for the master and the manager. In workers, task workers and custom processes.
    public func onPipeMessage(_ handler: @escaping @MainActor (Self, Int, [UInt8]) throws -> Void) {
        register(.pipeMessage) { processHandlers.pipeMessage = direct(.pipeMessage, handler) }
    }

    /// Called with a message of another process. While the handler is suspended, it may be called with further
    /// messages.
    public func onPipeMessage(_ handler: @escaping @MainActor (Self, Int, [UInt8]) async throws -> Void) {
        register(.pipeMessage) { processHandlers.pipeMessage = suspending(.pipeMessage, handler) }
    }

    private func direct<A, B>(
        _ event: ServerEvent.Kind, _ handler: @escaping @MainActor (Self, A, B) throws -> Void
    ) -> (A, B) -> Void {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        return { a, b in
            owner.with { server in
                do { try direct(server, a, b) } catch { server.worker?.handlerFailed(event, error) }
            }
        }
    }

    private func suspending<A: Sendable, B: Sendable>(
        _ event: ServerEvent.Kind, _ handler: @escaping @MainActor (Self, A, B) async throws -> Void
    ) -> (A, B) -> Void {
        let owner = HandlerOwner(self)
        return { a, b in
            guard let worker = owner.object.worker else { return }
            worker.lanes.runners.start(event) { try await handler(owner.object, a, b) }
        }
    }

    // MARK: Custom processes

    /// Adds a custom process, before ``Server/start()``: started with the server, replaced when it ends, stopped with
    /// it, untouched by reloads. It has no connections of its own, but everything else that a worker has: it can push,
    /// publish, list connections, post tasks and receive messages, and has timers.
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
        guard !ports[0].isRefused("the process \"\(name)\" by addProcess(_:_:)", verb: "add") else { return }
        processHandlers.processes.append((name, body))
    }
}
