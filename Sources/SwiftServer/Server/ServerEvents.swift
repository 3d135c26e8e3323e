/// The events that every server has. The handlers get the server as its own type, whatever class it is.
///
/// A handler is a closure, a function or a method. It may throw: the error is logged, with the handler, the connection
/// and the cause, at most ten errors a second in each process; the rest is counted. What else follows is said at each
/// event: a request is answered with status 500, a connection whose data was not handled is closed.
///
/// Each event has one handler; a second one replaces the first. Handlers are registered before ``Server/start()``.
public protocol ServerEvents: AnyObject {}

extension ServerEvents where Self: Server {
    private func direct(
        _ event: ServerEvent.Kind, _ handler: @escaping @MainActor (Self) throws -> Void
    ) -> () -> Void {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        return {
            owner.with { do { try direct($0) } catch { HandlerFailures.log(nil, event.handlerName, error) } }
        }
    }

    private func direct(
        _ event: ServerEvent.Kind, _ handler: @escaping @MainActor (Self, Int) throws -> Void
    ) -> (WorkerContext) -> Void {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        return { worker in
            owner.with { do { try direct($0, worker.id) } catch { worker.handlerFailed(event, error) } }
        }
    }

    /// Called in the master, when the ports are bound and the processes are started.
    public func onStart(_ handler: @escaping @MainActor (Self) throws -> Void) {
        register(.start) { processHandlers.start = direct(.start, handler) }
    }

    /// Called in the master, when a stop was requested, before it begins.
    public func onBeforeShutdown(_ handler: @escaping @MainActor (Self) throws -> Void) {
        register(.beforeShutdown) { processHandlers.beforeShutdown = direct(.beforeShutdown, handler) }
    }

    /// Called in the master, as the last handler.
    public func onShutdown(_ handler: @escaping @MainActor (Self) throws -> Void) {
        register(.shutdown) { processHandlers.shutdown = direct(.shutdown, handler) }
    }

    /// Called in the manager, before it starts the workers.
    public func onManagerStart(_ handler: @escaping @MainActor (Self) throws -> Void) {
        register(.managerStart) { processHandlers.managerStart = direct(.managerStart, handler) }
    }

    /// Called in the manager, when the last worker has ended.
    public func onManagerStop(_ handler: @escaping @MainActor (Self) throws -> Void) {
        register(.managerStop) { processHandlers.managerStop = direct(.managerStop, handler) }
    }

    /// Called in the manager, when a reload begins.
    public func onBeforeReload(_ handler: @escaping @MainActor (Self) throws -> Void) {
        register(.beforeReload) { processHandlers.beforeReload = direct(.beforeReload, handler) }
    }

    /// Called in the manager, when a reload has replaced all its processes, or was aborted.
    public func onAfterReload(_ handler: @escaping @MainActor (Self) throws -> Void) {
        register(.afterReload) { processHandlers.afterReload = direct(.afterReload, handler) }
    }

    /// Called in the manager, when a process of the server has crashed, was killed, or ended with an error.
    public func onWorkerError(_ handler: @escaping @MainActor (Self, WorkerFailure) throws -> Void) {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        register(.workerError) {
            processHandlers.workerError = { failure in
                owner.with {
                    do { try direct($0, failure) } catch { HandlerFailures.log(nil, "onWorkerError", error) }
                }
            }
        }
    }

    /// Called in the gateway, when the connection with the ``Server/cluster`` has changed; at first when it is
    /// established, or cannot be. In ``ServerMode/single`` it is called where all handlers are. The gateway has no
    /// connections of clients: it can report the state, for example to a monitoring system.
    /// ``Server/clusterState`` is the state in every process.
    public func onClusterState(_ handler: @escaping @MainActor (Self, ClusterState) throws -> Void) {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        register(.clusterState) {
            processHandlers.clusterState = { state in
                owner.with { do { try direct($0, state) } catch { HandlerFailures.log(nil, "onClusterState", error) } }
            }
        }
    }

    /// Called in each worker and task worker as its first handler, also in one that replaces another: in a reload while
    /// its predecessor still serves. The number is the worker's; those of task workers follow those of workers.
    ///
    /// When it throws, the process ends with an error and is started again, with growing pauses; a reload is aborted,
    /// and in ``ServerMode/single`` ``Server/start()`` throws.
    public func onWorkerStart(_ handler: @escaping @MainActor (Self, Int) throws -> Void) {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        register(.workerStart) {
            processHandlers.workerStart = { worker in
                owner.with { do { try direct($0, worker.id) } catch { worker.startFailed(error) } }
            }
        }
    }

    /// Called in each worker and task worker as its first handler. Connections are served as soon as it suspends; in a
    /// reload the predecessor serves them until it returns.
    public func onWorkerStart(_ handler: @escaping @MainActor (Self, Int) async throws -> Void) {
        let owner = HandlerOwner(self)
        register(.workerStart) {
            processHandlers.workerStart = { worker in
                worker.lanes.runners.start {
                    do { try await handler(owner.object, worker.id) } catch { worker.startFailed(error) }
                }
            }
        }
    }

    /// Called in a worker or task worker that has to end and has timers, suspended handlers, requests without a
    /// response or tasks without a result: the time to clear and close what would delay the end. Afterwards its timers
    /// are cleared, except those that hold it, and it continues until the rest is finished or
    /// ``Settings/shutdownTimeout`` has passed.
    public func onWorkerExit(_ handler: @escaping @MainActor (Self, Int) throws -> Void) {
        register(.workerExit) { processHandlers.workerExit = direct(.workerExit, handler) }
    }

    /// Called in each worker that ends in order, as its last handler. Not in one that crashes or is killed.
    public func onWorkerStop(_ handler: @escaping @MainActor (Self, Int) throws -> Void) {
        register(.workerStop) { processHandlers.workerStop = direct(.workerStop, handler) }
    }

    /// Called when an opened connection is gone: exactly once, whoever closed it, with the reason. In process mode also
    /// for connections that a predecessor of this worker has opened.
    public func onClose(_ handler: @escaping @MainActor (Self, ConnectionID, CloseReason) throws -> Void) {
        register(.close) { handlers.close = ConnectionHandlers.close(HandlerOwner(self), handler) }
    }

    /// Called when an opened connection is gone. The asynchronous form, behind the connection's other handlers.
    public func onClose(_ handler: @escaping @MainActor (Self, ConnectionID, CloseReason) async throws -> Void) {
        register(.close) { handlers.close = ConnectionHandlers.close(HandlerOwner(self), handler) }
    }
}
