public import SwiftServer

extension Request {
    /// Reads a value from the body, which is JSON and has arrived as a whole.
    ///
    /// With ``Settings/streamRequestBodies`` use ``decode(_:limit:format:)``.
    public func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, format: JSONFormat = .standard
    ) throws(JSONDecodingError) -> Value {
        try format.decode(type, from: body)
    }

    /// Reads a value from the body, which is JSON, after all of it has arrived.
    ///
    /// - Parameter limit: the largest body, in bytes; a larger one is a ``RequestTooLargeError``.
    public func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, limit: Int, format: JSONFormat = .standard
    ) async throws -> Value {
        var whole: [UInt8] = []
        for try await piece in bodyPieces {
            guard whole.count + piece.count <= limit else { throw RequestTooLargeError(limit: limit) }
            whole += piece
        }
        return try format.decode(type, from: whole)
    }
}

/// The body of a request is larger than the handler accepts. When a handler throws it, the client gets status 413.
public struct RequestTooLargeError: RequestError, Hashable {
    /// The largest accepted body, in bytes.
    public let limit: Int
    /// 413.
    public var status: Int { 413 }
    /// Names the limit.
    public var message: String { "the body must be at most \(limit) bytes" }
}

extension Response {
    /// Sends a value as JSON with the content type `application/json`, and ends the response. When the value
    /// cannot be encoded, nothing is sent. The results are those of ``SwiftServer/Response/end(_:)-([UInt8])``.
    @discardableResult
    public func json(
        _ value: some Encodable, status: Int = 200, format: JSONFormat = .standard
    ) throws(JSONEncodingError) -> ResponseResult {
        let body = try format.encode(value)
        self.status(status)
        header("Content-Type", "application/json")
        return end(body)
    }
}

extension WebSocket {
    /// Sends a value as JSON in a plain response; see ``SwiftServer/Response/json(_:status:format:)``.
    @MainActor @discardableResult
    public func json(
        _ value: some Encodable, status: Int = 200, format: JSONFormat = .standard
    ) throws(JSONEncodingError) -> ResponseResult {
        let body = try format.encode(value)
        self.status(status)
        header("Content-Type", "application/json")
        return end(body)
    }
}
