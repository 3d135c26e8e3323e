/// Handlers of tasks, requests and WebSockets by the names of their events.
extension ServerEvents where Self: Server {
    /// `task`, without a result.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, ServerTask) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.task]) { _ in
            onTask(handler)
        }
    }

    /// `task`, asynchronous, without a result.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, ServerTask) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.task], isAsync: true) { _ in
            onTask(handler)
        }
    }

    /// `task`, with a result.
    public func on<Output: TaskOutput>(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, ServerTask) throws -> Output
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.task]) { _ in
            onTask(handler)
        }
    }

    /// `task`, asynchronous, with a result.
    public func on<Output: TaskOutput>(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, ServerTask) async throws -> Output
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.task], isAsync: true) { _ in
            onTask(handler)
        }
    }
}

extension HTTPServer {
    /// `request`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Request, Response) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.request]) { _ in
            onRequest(handler)
        }
    }

    /// `request`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Request, Response) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.request], isAsync: true) { _ in
            onRequest(handler)
        }
    }
}

extension ServerEvents where Self: WebSocketServer {
    /// `handshake`, which may be asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Request, Handshake) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.handshake]) { _ in
            onHandshake(handler)
        }
    }

    /// `open`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, Request) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.open]) { _ in
            onOpen(handler)
        }
    }

    /// `open`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, Request) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.open], isAsync: true) { _ in
            onOpen(handler)
        }
    }

    /// `message`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, Frame) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.message]) { _ in
            onMessage(handler)
        }
    }

    /// `message`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, Frame) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.message], isAsync: true) { _ in
            onMessage(handler)
        }
    }
}
