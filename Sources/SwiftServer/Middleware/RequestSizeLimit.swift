internal import CReactor

/// Limits the size of request bodies: `server.group("/comments", use: [RequestSizeLimit(10_000)])`.
///
/// A request whose `Content-Length` is larger is answered with status 413 before any of its body is requested; the
/// handler is not called. A body without `Content-Length` that arrives in pieces is counted while it is read: reading
/// past the limit throws ``BodyTooLarge``, and a handler that does not catch it answers with status 413.
///
/// The limit can only be smaller than that of the server. Without ``Settings/streamRequestBodies`` the server receives
/// a whole body of up to ``Settings/maxBody`` before any middleware; with it, ``Settings/maxStreamedBody`` applies to
/// all requests.
public struct RequestSizeLimit: SynchronousMiddleware, ConfiguredMiddleware {
    /// The largest size of a body, in bytes.
    public let limit: Int

    /// Makes the middleware.
    ///
    /// - Parameter limit: the largest size of a body, in bytes; 0 for requests without a body only.
    public init(_ limit: Int) { self.limit = limit }

    var problem: String? {
        limit >= 0 ? nil : "cannot use RequestSizeLimit: limit must be 0 bytes or more, got \(limit)"
    }

    /// Refuses a body that is known to be too large, and limits one whose size is not known.
    public func prepare(_ request: inout Request, _ response: Response) throws {
        if let source = request.incoming {
            if let length = request.header["content-length"], Int(length) ?? .max > limit {
                throw BodyTooLarge(limit: limit)
            }
            request.incoming = LimitedBody(source, limit)
        } else if request.bodyLength > limit {
            throw BodyTooLarge(limit: limit)
        }
    }
}

/// A body in pieces that may have a number of bytes.
private final class LimitedBody: BodyReader {
    private let source: any BodyReader
    private let limit: Int
    @MainActor private var count = 0

    init(_ source: any BodyReader, _ limit: Int) {
        self.source = source
        self.limit = limit
    }

    @MainActor func read() async throws -> [UInt8]? {
        guard count <= limit else { throw BodyTooLarge(limit: limit) }
        guard let piece = try await source.read() else { return nil }
        count += piece.count
        guard count <= limit else { throw BodyTooLarge(limit: limit) }
        return piece
    }
}

extension Request {
    /// The size of a body that arrived whole.
    fileprivate var bodyLength: Int { unsafe withView { unsafe Int($0.body_length) } }
}
