public import SwiftServer

extension ServerTask {
    /// Reads a value from the data of the task, which is JSON.
    public func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, format: JSONFormat = .standard
    ) throws(JSONDecodingError) -> Value {
        try format.decode(type, from: data)
    }

    /// Sends a result as JSON to the poster. See ``SwiftServer/ServerTask/finish(_:)-([UInt8])``.
    @discardableResult
    public func finish(
        json value: some Encodable, format: JSONFormat = .standard
    ) throws(JSONEncodingError) -> ReplyResult {
        finish(try format.encode(value))
    }
}

extension Server {
    /// Posts a value as a task and returns at once. Results are delivered to `onFinish`, whose bytes
    /// ``JSONFormat/decode(_:from:)`` reads.
    @MainActor @discardableResult
    public func task(
        json value: some Encodable, on index: Int? = nil, format: JSONFormat = .standard
    ) throws(JSONEncodingError) -> TaskPosting {
        task(try format.encode(value), on: index)
    }

    /// Posts a value as a task and suspends until its first result has arrived, the JSON of a `Value`; `nil`
    /// when the task has ended without one.
    ///
    /// - Throws: ``SwiftServer/TaskError``, ``JSONEncodingError``, or ``JSONDecodingError`` for another result.
    @MainActor public func task<Value: Decodable>(
        json value: some Encodable, returning type: Value.Type, on index: Int? = nil, timeout: Duration,
        format: JSONFormat = .standard
    ) async throws -> Value? {
        let data = try format.encode(value)
        guard let result = try await task(data, on: index, timeout: timeout) as [UInt8]? else { return nil }
        return try format.decode(type, from: result)
    }

    /// Sends a value as JSON to another process of the server.
    @MainActor @discardableResult
    public func sendMessage(
        json value: some Encodable, to workerID: Int, format: JSONFormat = .standard
    ) throws(JSONEncodingError) -> PushResult {
        sendMessage(try format.encode(value), to: workerID)
    }
}

extension ServerEvents where Self: Server {
    /// Called with the value of a task that was posted as JSON, in a task worker. Returns the result, which the poster
    /// gets as JSON. Data that is not the JSON of an `Input`, and an error of the handler, are failures of the task.
    public func onTask<Input: Decodable, Output: Encodable>(
        json type: Input.Type, format: JSONFormat = .standard,
        _ handler: @escaping @MainActor (Self, Input) async throws -> Output
    ) {
        onTask { server, task async throws -> [UInt8]? in
            let result = try await handler(server, task.decode(Input.self, format: format))
            return try format.encode(result)
        }
    }
}
