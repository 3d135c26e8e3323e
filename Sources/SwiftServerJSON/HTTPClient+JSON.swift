public import SwiftServer

extension HTTPClientResponse {
    /// Reads a value from the body, which is JSON, after all of it has arrived.
    ///
    /// ```swift
    /// let user = try await client.get("https://example.com/users/7").json(as: User.self)
    /// ```
    ///
    /// - Parameters:
    ///   - type: the type of the value.
    ///   - limit: the largest body, in bytes; a larger one is ``SwiftServer/ClientError/Code/tooLarge``.
    ///   - format: how dates and data are written.
    /// - Throws: ``JSONDecodingError`` when the body is not such a value, or what
    ///   ``SwiftServer/HTTPClientResponse/Body/collect(upTo:)`` throws. The status is not checked.
    public func json<Value: Decodable>(
        as type: Value.Type = Value.self, upTo limit: Int = 1 << 20, format: JSONFormat = .standard
    ) async throws -> Value {
        try format.decode(type, from: await body.collect(upTo: limit))
    }
}

extension HTTPClientRequest {
    /// Makes the body the value as JSON, and sets the field `Content-Type` unless there is one.
    public mutating func setJSON(
        _ value: some Encodable, format: JSONFormat = .standard
    ) throws(JSONEncodingError) {
        body = .bytes(try format.encode(value))
        if headers["Content-Type"] == nil { headers["Content-Type"] = "application/json" }
    }
}
