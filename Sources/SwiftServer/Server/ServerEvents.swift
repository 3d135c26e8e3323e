/// The events that every server has. The handlers get the server as its own type, whatever class it is.
///
/// Each handler may be registered once; a second one for the same event replaces the first.
public protocol ServerEvents: AnyObject {}

extension ServerEvents where Self: Server {
    /// In the master, when the ports are bound and the processes are started.
    public func onStart(_ handler: @escaping @MainActor (Self) -> Void) {
        let direct = onLoop(handler)
        handlers.start = { direct(unsafe unsafeDowncast($0, to: Self.self)) }
    }

    /// In the master, when the server is told to stop, before anything is.
    public func onBeforeShutdown(_ handler: @escaping @MainActor (Self) -> Void) {
        let direct = onLoop(handler)
        handlers.beforeShutdown = { direct(unsafe unsafeDowncast($0, to: Self.self)) }
    }

    /// In the master, last of all.
    public func onShutdown(_ handler: @escaping @MainActor (Self) -> Void) {
        let direct = onLoop(handler)
        handlers.shutdown = { direct(unsafe unsafeDowncast($0, to: Self.self)) }
    }

    /// In the manager, before it starts the workers.
    public func onManagerStart(_ handler: @escaping @MainActor (Self) -> Void) {
        let direct = onLoop(handler)
        handlers.managerStart = { direct(unsafe unsafeDowncast($0, to: Self.self)) }
    }

    /// In the manager, when the last worker has ended.
    public func onManagerStop(_ handler: @escaping @MainActor (Self) -> Void) {
        let direct = onLoop(handler)
        handlers.managerStop = { direct(unsafe unsafeDowncast($0, to: Self.self)) }
    }

    /// In the manager, when a reload begins.
    public func onBeforeReload(_ handler: @escaping @MainActor (Self) -> Void) {
        let direct = onLoop(handler)
        handlers.beforeReload = { direct(unsafe unsafeDowncast($0, to: Self.self)) }
    }

    /// In the manager, when all processes that a reload was to replace are replaced.
    public func onAfterReload(_ handler: @escaping @MainActor (Self) -> Void) {
        let direct = onLoop(handler)
        handlers.afterReload = { direct(unsafe unsafeDowncast($0, to: Self.self)) }
    }

    /// In the manager, when a process of the server has crashed, was killed, or ended with an error.
    public func onWorkerError(_ handler: @escaping @MainActor (Self, WorkerFailure) -> Void) {
        let direct = onLoop(handler)
        handlers.workerError = { direct(unsafe unsafeDowncast($0, to: Self.self), $1) }
    }

    /// In each worker and task worker, before anything else; also in one that replaces another. The number is the worker's;
    /// those of task workers follow those of workers.
    public func onWorkerStart(_ handler: @escaping @MainActor (Self, Int) -> Void) {
        let direct = onLoop(handler)
        handlers.workerStart = { direct($0.server(as: Self.self), $0.id) }
    }

    /// The same as an asynchronous handler. Connections are served as soon as it suspends.
    public func onWorkerStart(_ handler: @escaping @MainActor (Self, Int) async -> Void) {
        handlers.workerStart = { runtime in
            _ = runtime.lanes.runners.start {
                await handler(runtime.server(as: Self.self), runtime.id)
            } whenLate: {
            }
        }
    }

    /// In a worker or task worker that was told to end and has timers, suspended handlers, open requests or tasks whose
    /// results have not come: the time to clear and close what would hold it. Afterwards its timers are cleared, but for
    /// those that hold it, and it goes on until the rest is done or ``Settings/shutdownTimeout`` is over.
    public func onWorkerExit(_ handler: @escaping @MainActor (Self, Int) -> Void) {
        let direct = onLoop(handler)
        handlers.workerExit = { direct($0.server(as: Self.self), $0.id) }
    }

    /// In each worker that ends in an orderly way, as its last act. Not in one that crashes or is killed.
    public func onWorkerStop(_ handler: @escaping @MainActor (Self, Int) -> Void) {
        let direct = onLoop(handler)
        handlers.workerStop = { direct($0.server(as: Self.self), $0.id) }
    }

    /// When a connection whose opening was told is gone: exactly once, whoever closed it, with the reason. In process mode
    /// also for connections that were opened by a predecessor of this worker.
    public func onClose(_ handler: @escaping @MainActor (Self, ConnectionID, CloseReason) -> Void) {
        handlers.close = Handlers.close(handler)
    }

    /// The same as an asynchronous handler.
    public func onClose(_ handler: @escaping @MainActor (Self, ConnectionID, CloseReason) async -> Void) {
        handlers.close = Handlers.close(handler)
    }
}

extension WorkerRuntime {
    /// The server as the class that it is. A handler is registered on the object that calls it, so the class fits.
    @inline(__always) func server<Class: Server>(as: Class.Type) -> Class {
        unsafe unsafeDowncast(server, to: Class.self)
    }

    /// Whether a handler of this connection is suspended, so that everything else of it must wait.
    @inline(__always) func isBusy(_ fd: ConnectionID) -> Bool { lanes.isBusy(fd) }

    /// Runs an asynchronous handler of this connection: now, or when those before it are done.
    func run(_ fd: ConnectionID, bytes: Int = 0, _ work: @escaping HandlerLanes.Work) {
        lanes.run(fd, bytes: bytes, work)
    }
}
