/// A body that is larger than the handler takes: status 413.
public struct BodyTooLarge: RequestError, Sendable, Hashable {
    /// The limit in bytes.
    public let limit: Int
    /// 413.
    public var status: Int { 413 }
    /// The cause in one line.
    public var message: String { "the body must have at most \(limit) bytes" }
}

/// A body of another type than the handler takes: status 415.
public struct UnsupportedBody: RequestError, Sendable, Hashable {
    /// The type that the handler takes.
    public let expected: String
    /// 415.
    public var status: Int { 415 }
    /// The cause in one line.
    public var message: String { "the body must have the type \(expected)" }
}

extension RequestBody {
    /// The whole body.
    ///
    /// - Throws: ``BodyTooLarge`` when it has more than `limit` bytes, or what the sequence throws.
    @MainActor public func collect(upTo limit: Int = 1 << 20) async throws -> [UInt8] {
        var bytes: [UInt8] = []
        for try await piece in self {
            guard bytes.count + piece.count <= limit else { throw BodyTooLarge(limit: limit) }
            bytes += piece
        }
        return bytes
    }
}

extension Request {
    /// The values of a form of the type `application/x-www-form-urlencoded`, whether its body is whole or arrives in
    /// pieces.
    ///
    /// - Throws: ``UnsupportedBody`` for another type, ``BodyTooLarge`` for more than `limit` bytes, and
    ///   ``RequestBodyError``. A handler that does not catch them answers with 415 or 413.
    @MainActor public func form(upTo limit: Int) async throws -> Query {
        guard isForm else { throw UnsupportedBody(expected: "application/x-www-form-urlencoded") }
        return Query(text: String(decoding: try await bodyPieces.collect(upTo: limit), as: UTF8.self))
    }
}
