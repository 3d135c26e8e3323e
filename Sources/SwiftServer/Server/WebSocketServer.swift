/// A server for WebSockets, which also answers plain HTTP on the same port when `onRequest` is set (and with a 400 page when it is not).
open class WebSocketServer: HTTPServer, @unchecked Sendable {
    override var mainProtocol: PortProtocol { .webSocket }

    /// Whether the handshake is done and the connection is still open. From every process.
    public func isEstablished(_ fd: ConnectionID) -> Bool { bus?.isOpen(fd) ?? false }

    // MARK: Push

    /// Sends a text message. From any worker, to any connection of the server, on any thread.
    @discardableResult
    public func push(_ text: String, to fd: ConnectionID) -> PushResult {
        guard let runtime else { return .closed }
        var text = text
        if runtime.isHere {
            return text.withUTF8 {
                unsafe runtime.push(fd, .text, finish: true, UnsafeRawBufferPointer($0))
            }
        }
        return pushFromElsewhere([UInt8](text.utf8), fd, .text, finish: true, runtime)
    }

    /// Sends a message, binary unless `opcode` says otherwise. With `finish: false` it is a fragment: the first has the
    /// message's opcode, the others ``Opcode/continuation``, the last `finish: true`.
    @discardableResult
    public func push(
        _ bytes: [UInt8], to fd: ConnectionID, opcode: Opcode = .binary, finish: Bool = true
    ) -> PushResult {
        guard let runtime else { return .closed }
        guard runtime.isHere else { return pushFromElsewhere(bytes, fd, opcode, finish: finish, runtime) }
        return unsafe bytes.withUnsafeBytes { unsafe runtime.push(fd, opcode, finish: finish, $0) }
    }

    /// Sends a message straight from borrowed bytes.
    @discardableResult
    public func push(
        _ bytes: RawSpan, to fd: ConnectionID, opcode: Opcode = .binary, finish: Bool = true
    ) -> PushResult {
        guard let runtime else { return .closed }
        return unsafe bytes.withUnsafeBytes {
            guard runtime.isHere else {
                return unsafe pushFromElsewhere([UInt8]($0), fd, opcode, finish: finish, runtime)
            }
            return unsafe runtime.push(fd, opcode, finish: finish, $0)
        }
    }

    /// Sends a frame with its own opcode, as an echo does.
    @discardableResult
    public func push(_ frame: Frame, to fd: ConnectionID) -> PushResult {
        push(frame.bytes, to: fd, opcode: frame.opcode, finish: frame.finish)
    }

    private func pushFromElsewhere(
        _ bytes: [UInt8], _ fd: ConnectionID, _ opcode: Opcode, finish: Bool, _ runtime: WorkerRuntime
    ) -> PushResult {
        guard exists(fd) else { return .closed }
        guard isEstablished(fd) else { return .notWebSocket }
        runtime.loop.post { unsafe bytes.withUnsafeBytes { _ = unsafe runtime.push(fd, opcode, finish: finish, $0) } }
        return .queued
    }
}

// MARK: - Events

extension ServerEvents where Self: WebSocketServer {
    /// When the handshake of a WebSocket is done; the request is that of the handshake. Pushing is possible from here on.
    public func onOpen(_ handler: @escaping @MainActor (Self, Request) -> Void) {
        handlers.open = Handlers.open(handler)
    }

    /// The same as an asynchronous handler. Messages of the connection wait until it is done.
    public func onOpen(_ handler: @escaping @MainActor (Self, Request) async -> Void) {
        handlers.open = Handlers.open(handler)
    }

    /// One whole message, text or binary.
    public func onMessage(_ handler: @escaping @MainActor (Self, Frame) -> Void) {
        unsafe handlers.message = Handlers.message(handler)
    }

    /// The same as an asynchronous handler. While it is suspended other connections are served, and further messages of
    /// this one wait their turn.
    public func onMessage(_ handler: @escaping @MainActor (Self, Frame) async -> Void) {
        unsafe handlers.message = Handlers.message(handler)
    }

    /// One whole message, its bytes borrowed: nothing is copied or allocated. The bytes are gone when the handler
    /// returns, which the compiler checks.
    public func onMessage(_ handler: @escaping @MainActor (Self, ConnectionID, Opcode, RawSpan) -> Void) {
        unsafe handlers.message = Handlers.message(handler)
    }
}
