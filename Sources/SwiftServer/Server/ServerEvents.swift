/// The events that every server has. The handlers get the server as its own type, whatever class it is.
///
/// Each handler may be registered once; a second one for the same event replaces the first.
public protocol ServerEvents: AnyObject {}

extension ServerEvents where Self: Server {
    private func direct(_ handler: @escaping @MainActor (Self) -> Void) -> () -> Void {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        return { owner.with(direct) }
    }

    private func direct(_ handler: @escaping @MainActor (Self, Int) -> Void) -> (WorkerContext) -> Void {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        return { worker in owner.with { direct($0, worker.id) } }
    }

    /// Called in the master, when the ports are bound and the processes are started.
    public func onStart(_ handler: @escaping @MainActor (Self) -> Void) { processHandlers.start = direct(handler) }

    /// Called in the master, when a stop was requested, before it begins.
    public func onBeforeShutdown(_ handler: @escaping @MainActor (Self) -> Void) {
        processHandlers.beforeShutdown = direct(handler)
    }

    /// Called in the master, as the last handler.
    public func onShutdown(_ handler: @escaping @MainActor (Self) -> Void) {
        processHandlers.shutdown = direct(handler)
    }

    /// Called in the manager, before it starts the workers.
    public func onManagerStart(_ handler: @escaping @MainActor (Self) -> Void) {
        processHandlers.managerStart = direct(handler)
    }

    /// Called in the manager, when the last worker has ended.
    public func onManagerStop(_ handler: @escaping @MainActor (Self) -> Void) {
        processHandlers.managerStop = direct(handler)
    }

    /// Called in the manager, when a reload begins.
    public func onBeforeReload(_ handler: @escaping @MainActor (Self) -> Void) {
        processHandlers.beforeReload = direct(handler)
    }

    /// Called in the manager, when a reload has replaced all its processes, or was aborted.
    public func onAfterReload(_ handler: @escaping @MainActor (Self) -> Void) {
        processHandlers.afterReload = direct(handler)
    }

    /// Called in the manager, when a process of the server has crashed, was killed, or ended with an error.
    public func onWorkerError(_ handler: @escaping @MainActor (Self, WorkerFailure) -> Void) {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        processHandlers.workerError = { failure in owner.with { direct($0, failure) } }
    }

    /// Called in each worker and task worker as its first handler, also in one that replaces another: in a reload while
    /// its predecessor still serves. The number is the worker's; those of task workers follow those of workers.
    public func onWorkerStart(_ handler: @escaping @MainActor (Self, Int) -> Void) {
        processHandlers.workerStart = direct(handler)
    }

    /// Called in each worker and task worker as its first handler. Connections are served as soon as it suspends.
    public func onWorkerStart(_ handler: @escaping @MainActor (Self, Int) async -> Void) {
        let owner = HandlerOwner(self)
        processHandlers.workerStart = { worker in
            worker.lanes.runners.start { await handler(owner.object, worker.id) }
        }
    }

    /// Called in a worker or task worker that has to end and has timers, suspended handlers, requests without a
    /// response or tasks without a result: the time to clear and close what would delay the end. Afterwards its timers
    /// are cleared, except those that hold it, and it continues until the rest is finished or
    /// ``Settings/shutdownTimeout`` has passed.
    public func onWorkerExit(_ handler: @escaping @MainActor (Self, Int) -> Void) {
        processHandlers.workerExit = direct(handler)
    }

    /// Called in each worker that ends in order, as its last handler. Not in one that crashes or is killed.
    public func onWorkerStop(_ handler: @escaping @MainActor (Self, Int) -> Void) {
        processHandlers.workerStop = direct(handler)
    }

    /// Called when an opened connection is gone: exactly once, whoever closed it, with the reason. In process mode also
    /// for connections that a predecessor of this worker has opened.
    public func onClose(_ handler: @escaping @MainActor (Self, ConnectionID, CloseReason) -> Void) {
        handlers.close = ConnectionHandlers.close(HandlerOwner(self), handler)
    }

    /// Called when an opened connection is gone. The asynchronous form, behind the connection's other handlers.
    public func onClose(_ handler: @escaping @MainActor (Self, ConnectionID, CloseReason) async -> Void) {
        handlers.close = ConnectionHandlers.close(HandlerOwner(self), handler)
    }
}
