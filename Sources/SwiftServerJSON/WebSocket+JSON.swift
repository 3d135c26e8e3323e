@_exported public import SwiftServer

extension Frame {
    /// Reads a value from the payload, which is JSON.
    public func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, format: JSONFormat = .standard
    ) throws(JSONDecodingError) -> Value {
        try format.decode(type, from: bytes)
    }
}

extension WebSocketServer {
    /// Sends a value as JSON in a text message.
    @discardableResult
    public func push(
        json value: some Encodable, to fd: ConnectionID, format: JSONFormat = .standard
    ) throws(JSONEncodingError) -> PushResult {
        push(try format.encode(value), to: fd, opcode: .text)
    }

    /// Sends a value as JSON in a text message to all open WebSockets of the server. It is encoded once.
    @discardableResult
    public func broadcast(
        json value: some Encodable, except: ConnectionID? = nil, format: JSONFormat = .standard
    ) throws(JSONEncodingError) -> PushResult {
        broadcast(try format.encode(value), opcode: .text, except: except)
    }

    /// Sends a value as JSON in a text message to the connections that are subscribed to a topic. It is encoded once.
    @discardableResult
    public func publish(
        json value: some Encodable, to topic: String, except: ConnectionID? = nil, format: JSONFormat = .standard
    ) throws(JSONEncodingError) -> PushResult {
        publish(try format.encode(value), to: topic, opcode: .text, except: except)
    }
}

extension Connection {
    /// Sends a value as JSON in a text message to a WebSocket.
    @discardableResult
    public func push(
        json value: some Encodable, format: JSONFormat = .standard
    ) throws(JSONEncodingError) -> PushResult {
        push(try format.encode(value), opcode: .text)
    }
}

extension WebSocket {
    /// Sends a value as JSON in a text message. Suspends while the output queue of the client is full.
    public func push(json value: some Encodable, format: JSONFormat = .standard) async throws {
        try await push(try format.encode(value), opcode: .text)
    }

    /// Reads a value from the next message, which is JSON. Suspends until one is received; `nil` when the connection is
    /// closed.
    ///
    /// - Throws: ``JSONDecodingError``, and what ``SwiftServer/WebSocket/recv(timeout:)`` throws.
    public func recv<Value: Decodable>(
        json type: Value.Type, timeout: Duration? = nil, format: JSONFormat = .standard
    ) async throws -> Value? {
        guard let frame = try await next(timeout) else { return nil }
        return try frame.decode(type, format: format)
    }

    /// A function of its own: the optimiser of Swift 6.3.1 crashes when it inlines `recv` into a generic function.
    @inline(never) private func next(_ timeout: Duration?) async throws -> Frame? { try await recv(timeout: timeout) }
}
