/// Handlers by the names of their events, for those who prefer `server.on("message")` to `server.onMessage`.
///
/// ```swift
/// server.on("Message") { (server, frame: Frame) in
///     server.push(frame, to: frame.fd)
/// }
/// ```
///
/// A name may have any letter case, and "on" before it. The closure names the types of its arguments where they do not
/// follow from its code. ``Server/start()`` throws an error when there is no event of this name, and when its handler
/// has another form; the error has the place of the call, and the right name or form. Everything else is as with the
/// methods.
extension ServerEvents where Self: Server {
    /// The server alone: the events of the master and the manager.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self) throws -> Void
    ) {
        ports[0].register(
            NamedRegistration(event, file, line),
            [.start, .beforeShutdown, .shutdown, .managerStart, .managerStop, .beforeReload, .afterReload]
        ) {
            switch $0 {
            case .start: onStart(handler)
            case .beforeShutdown: onBeforeShutdown(handler)
            case .shutdown: onShutdown(handler)
            case .managerStart: onManagerStart(handler)
            case .managerStop: onManagerStop(handler)
            case .beforeReload: onBeforeReload(handler)
            default: onAfterReload(handler)
            }
        }
    }

    /// A worker's number: the events of its life.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, Int) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.workerStart, .workerExit, .workerStop]) {
            switch $0 {
            case .workerStart: onWorkerStart(handler)
            case .workerExit: onWorkerExit(handler)
            default: onWorkerStop(handler)
            }
        }
    }

    /// A worker's number: the start of it.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, Int) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.workerStart], isAsync: true) { _ in
            onWorkerStart(handler)
        }
    }

    /// `workerError`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, WorkerFailure) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.workerError]) { _ in
            onWorkerError(handler)
        }
    }

    /// `clusterState`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, ClusterState) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.clusterState]) { _ in
            onClusterState(handler)
        }
    }

    /// `pipeMessage`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, Int, [UInt8]) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.pipeMessage]) { _ in
            onPipeMessage(handler)
        }
    }

    /// `pipeMessage`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, Int, [UInt8]) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.pipeMessage], isAsync: true) { _ in
            onPipeMessage(handler)
        }
    }

    /// `finish`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, TaskID, [UInt8]) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.finish]) { _ in
            onFinish(handler)
        }
    }

    /// `finish`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, TaskID, [UInt8]) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.finish], isAsync: true) { _ in
            onFinish(handler)
        }
    }

    /// `taskError`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, TaskID, TaskError) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.taskError]) { _ in
            onTaskError(handler)
        }
    }

    /// `taskError`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, TaskID, TaskError) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.taskError], isAsync: true) { _ in
            onTaskError(handler)
        }
    }

    /// A connection: `connect` and `drain`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, ConnectionID) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.connect, .drain]) {
            switch $0 {
            case .connect: onConnect(handler)
            default: onDrain(handler)
            }
        }
    }

    /// A connection: `connect` and `drain`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, ConnectionID) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.connect, .drain], isAsync: true) {
            switch $0 {
            case .connect: onConnect(handler)
            default: onDrain(handler)
            }
        }
    }

    /// `receive`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, ConnectionID, [UInt8]) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.receive]) { _ in
            onReceive(handler)
        }
    }

    /// `receive`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, ConnectionID, [UInt8]) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.receive], isAsync: true) { _ in
            onReceive(handler)
        }
    }

    /// `packet`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, [UInt8], SocketAddress) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.packet]) { _ in
            onPacket(handler)
        }
    }

    /// `packet`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, [UInt8], SocketAddress) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.packet], isAsync: true) { _ in
            onPacket(handler)
        }
    }

    /// `close`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, ConnectionID, CloseReason) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.close]) { _ in
            onClose(handler)
        }
    }

    /// `close`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, ConnectionID, CloseReason) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.close], isAsync: true) { _ in
            onClose(handler)
        }
    }
}
