/// A connection as an object: what ``Server/connection(_:)`` returns.
///
/// It is a name, not a resource: holding one keeps nothing open, and every method reports a connection that is gone.
/// Use it from any thread, and send it to other tasks.
public struct Connection: Sendable, Identifiable, Hashable, CustomStringConvertible {
    /// The id, which callbacks call `fd`.
    public let id: ConnectionID
    let worker: WorkerContext?

    init(id: ConnectionID, worker: WorkerContext?) {
        self.id = id
        self.worker = worker
    }

    /// Whether the connection is open. For a WebSocket that has begun its closing handshake, too.
    public var exists: Bool { worker?.bus.exists(id) ?? false }

    /// The state of the connection at this moment, `nil` when it is gone.
    public var info: ConnectionInfo? { worker?.info(id) }

    /// The request of a WebSocket's handshake, with ``Settings/keepsHandshakes``. `nil` for other connections, when
    /// this worker has not opened the WebSocket itself, and after its close.
    @MainActor public var request: Request? { worker?.handshakes[id] }

    // MARK: WebSockets

    /// Sends a text message to a WebSocket.
    @discardableResult
    public func push(_ text: String) -> PushResult { worker?.push(text, to: id) ?? .closed }

    /// Sends a message to a WebSocket, binary unless `opcode` says otherwise. See
    /// ``WebSocketServer/push(_:to:opcode:finish:)-([UInt8],_,_,_)``.
    @discardableResult
    public func push(_ bytes: [UInt8], opcode: Opcode = .binary, finish: Bool = true) -> PushResult {
        worker?.push(bytes, to: id, opcode: opcode, finish: finish) ?? .closed
    }

    /// Sends a message to a WebSocket from borrowed bytes.
    @discardableResult
    public func push(_ bytes: RawSpan, opcode: Opcode = .binary, finish: Bool = true) -> PushResult {
        worker?.push(bytes, to: id, opcode: opcode, finish: finish) ?? .closed
    }

    // MARK: Streams

    /// Sends text on a connection of a `.tcp` port.
    @discardableResult
    public func send(_ text: String) -> PushResult { worker?.send(text, to: id) ?? .closed }

    /// Sends bytes on a connection of a `.tcp` port.
    @discardableResult
    public func send(_ bytes: [UInt8]) -> PushResult { worker?.send(bytes, to: id) ?? .closed }

    /// Sends borrowed bytes on a connection of a `.tcp` port.
    @discardableResult
    public func send(_ bytes: RawSpan) -> PushResult { worker?.send(bytes, to: id) ?? .closed }

    // MARK: The end

    /// Closes the connection after its pending output was sent; see ``Server/close(_:code:reason:)->CommandResult``.
    @discardableResult
    public func close(code: UInt16 = 1000, reason: String = "") -> CommandResult {
        worker?.close(id, code: code, reason: reason) ?? .notInWorker
    }

    /// The id in decimal.
    public var description: String { id.description }

    /// Whether both name the same connection.
    public static func == (a: Connection, b: Connection) -> Bool { a.id == b.id }

    /// Hashes the id.
    public func hash(into hasher: inout Hasher) { hasher.combine(id) }
}
