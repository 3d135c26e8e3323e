/// The response to a request of an ``HTTPClient``.
///
/// ```swift
/// let response = try await client.get("https://example.com/")
/// guard response.status == 200 else { throw Unexpected(response.status) }
/// let text = try await response.body.text(upTo: 1 << 20)
/// ```
///
/// The body arrives while it is read. A response whose body is not read to its end keeps its connection until the
/// response is released; then the connection is closed.
public struct HTTPClientResponse: Sendable {
    private let head: HTTPResponseHead
    /// The URL of the last request: another than that of the first one after a redirect.
    public let url: String
    /// The body.
    public let body: Body

    init(_ head: HTTPResponseHead, _ url: String, _ exchange: HTTPExchange) {
        self.head = head
        self.url = url
        if let whole = exchange.takeWhole() {
            body = Body(source: .whole(whole, trailers: exchange.trailers))
        } else {
            body = Body(source: .arriving(HTTPBodyHandle(exchange)))
        }
    }

    /// The status, 200 to 999.
    public var status: Int { head.status }
    /// The reason phrase; may be empty.
    public var reason: String { head.reason }
    /// The fields.
    public var headers: HTTPClient.Fields { head.fields }

    /// The value of the first field of this name, in any letter case.
    public func header(_ name: String) -> String? { head.field(name) }

    /// The fields behind the body; empty until the body was read to its end. Servers send trailers to clients that
    /// accept them: `headers["TE"] = "trailers"` in the request.
    public var trailers: HTTPClient.Fields {
        switch body.source {
        case .whole(_, let trailers): trailers
        case .arriving(let handle): handle.exchange.trailers
        }
    }

    /// The body of a response: a sequence of pieces, for one reader.
    ///
    /// While nobody asks for a piece, at most ``HTTPClientSettings/maxBuffer`` bytes are buffered, and the server has
    /// to wait. A compressed body is decompressed.
    public struct Body: AsyncSequence, Sendable {
        /// A piece.
        public typealias Element = [UInt8]

        enum Source: Sendable {
            case whole([UInt8], trailers: HTTPClient.Fields)
            case arriving(HTTPBodyHandle)
        }
        let source: Source

        /// Starts to read. Two iterators share the pieces of a body that arrives.
        public func makeAsyncIterator() -> Iterator {
            switch source {
            case .whole(let bytes, _): Iterator(whole: bytes.isEmpty ? nil : bytes, handle: nil)
            case .arriving(let handle): Iterator(whole: nil, handle: handle)
            }
        }

        /// The whole body.
        ///
        /// - Parameter limit: the most bytes.
        /// - Throws: ``ClientError/Code/tooLarge`` for a larger body; another ``ClientError`` when it cannot be
        ///   received to its end.
        public func collect(upTo limit: Int) async throws -> [UInt8] {
            var whole: [UInt8] = []
            for try await piece in self {
                guard piece.count <= limit - whole.count else {
                    throw ClientError(.tooLarge, "the body of the response has more than \(limit) bytes")
                }
                if whole.isEmpty { whole = piece } else { whole += piece }
            }
            return whole
        }

        /// The whole body as text in UTF-8; see ``collect(upTo:)``.
        public func text(upTo limit: Int) async throws -> String {
            String(decoding: try await collect(upTo: limit), as: UTF8.self)
        }

        /// Takes one piece after the other.
        public struct Iterator: AsyncIteratorProtocol, Sendable {
            fileprivate var whole: [UInt8]?
            fileprivate let handle: HTTPBodyHandle?

            /// The next piece, which has at least one byte; `nil` after the end.
            ///
            /// - Throws: a ``ClientError`` when the body cannot be received to its end; `CancellationError` when the
            ///   task is cancelled: the connection is closed.
            public mutating func next() async throws -> [UInt8]? {
                guard let handle else { return whole.take() }
                return try await handle.exchange.connections.next(handle.exchange)
            }
        }
    }
}
