/// Handlers of a port by the names of their events; see ``ServerEvents/on(_:file:line:_:)``.
extension ServerPort {
    /// A connection: `connect` and `drain`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Owner, ConnectionID) throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.connect, .drain]) {
            switch $0 {
            case .connect: onConnect(handler)
            default: onDrain(handler)
            }
        }
    }

    /// A connection: `connect` and `drain`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Owner, ConnectionID) async throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.connect, .drain], isAsync: true) {
            switch $0 {
            case .connect: onConnect(handler)
            default: onDrain(handler)
            }
        }
    }

    /// `receive`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Owner, ConnectionID, [UInt8]) throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.receive]) { _ in
            onReceive(handler)
        }
    }

    /// `receive`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Owner, ConnectionID, [UInt8]) async throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.receive], isAsync: true) { _ in
            onReceive(handler)
        }
    }

    /// `packet`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Owner, [UInt8], SocketAddress) throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.packet]) { _ in
            onPacket(handler)
        }
    }

    /// `packet`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Owner, [UInt8], SocketAddress) async throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.packet], isAsync: true) { _ in
            onPacket(handler)
        }
    }

    /// `close`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Owner, ConnectionID, CloseReason) throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.close]) { _ in
            onClose(handler)
        }
    }

    /// `close`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Owner, ConnectionID, CloseReason) async throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.close], isAsync: true) { _ in
            onClose(handler)
        }
    }

    /// `request`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Request, Response) throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.request]) { _ in
            onRequest(handler)
        }
    }

    /// `request`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Request, Response) async throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.request], isAsync: true) { _ in
            onRequest(handler)
        }
    }
}

extension ServerPort where Owner: WebSocketServer {
    /// `handshake`, which may be asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Request, Handshake) async throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.handshake]) { _ in
            onHandshake(handler)
        }
    }

    /// `open`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Owner, Request) throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.open]) { _ in
            onOpen(handler)
        }
    }

    /// `open`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Owner, Request) async throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.open], isAsync: true) { _ in
            onOpen(handler)
        }
    }

    /// `message`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Owner, Frame) throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.message]) { _ in
            onMessage(handler)
        }
    }

    /// `message`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Owner, Frame) async throws -> Void
    ) {
        register(NamedRegistration(event, file, line), [.message], isAsync: true) { _ in
            onMessage(handler)
        }
    }
}
