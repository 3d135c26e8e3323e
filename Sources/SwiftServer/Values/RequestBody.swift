/// The bytes of a request's body, in pieces as they arrive: `for try await bytes in request.bodyPieces`.
///
/// Reading from the client pauses while some 256 KiB are buffered. The body can be read once, by one reader at a time.
/// The sequence throws ``RequestBodyError/incomplete`` when the rest will not arrive, and `CancellationError` when the
/// reading task is cancelled.
public struct RequestBody: AsyncSequence, Sendable {
    enum Source: Sendable {
        case whole([UInt8])
        case incoming(any BodyReader)
    }

    let source: Source

    /// Makes a reader that continues where another one has stopped; a body that arrived whole is read from its
    /// beginning.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(source: source) }

    /// One reader of the pieces.
    public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
        var source: Source

        /// The next piece, never an empty one; `nil` at the end of the body.
        public mutating func next() async throws -> [UInt8]? { try await next(isolation: #isolation) }

        /// The next piece, without leaving the caller's actor.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> [UInt8]? {
            switch source {
            case .whole(let bytes):
                source = .whole([])
                return bytes.isEmpty ? nil : bytes
            case .incoming(let body): return try await body.read()
            }
        }
    }
}
