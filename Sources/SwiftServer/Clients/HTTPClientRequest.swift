/// A request of an ``HTTPClient``.
///
/// ```swift
/// var request = HTTPClientRequest("https://example.com/upload", method: "PUT")
/// request.headers["Content-Type"] = "text/plain"
/// request.body = .text("hello")
/// let response = try await client.execute(request)
/// ```
public struct HTTPClientRequest: Sendable {
    /// The URL, with `http` or `https`. Characters that URLs do not have must be percent-encoded; a fragment is
    /// dropped.
    public var url: String
    /// "GET", "POST" and so on. `CONNECT` is not possible.
    public var method: String
    /// Further fields. `Host`, `Content-Length`, `Transfer-Encoding` and `Connection` are written by the client.
    public var headers: HTTPClient.Fields
    /// The body.
    public var body: Body
    /// The path of a Unix socket to connect to instead of the URL's host; "@name" is an abstract socket. With `https`
    /// the certificate must be valid for the URL's host. Redirects to another host are followed by TCP.
    public var unixSocket: String?
    /// Fields behind the body, for values that are known only when the body was sent, such as a digest. The function is
    /// called then, and the request fails with the error that it throws. The body is sent with the chunked coding, and
    /// is not sent again. Servers may drop trailers.
    public var trailers: (@Sendable () async throws -> HTTPClient.Fields)?
    /// The time limit from the call to the end of the response. Default: ``HTTPClientSettings/timeout``.
    public var timeout: Duration?

    /// Makes a request.
    public init(
        _ url: String, method: String = "GET", headers: HTTPClient.Fields = [:], body: Body = .empty
    ) {
        self.url = url
        self.method = method
        self.headers = headers
        self.body = body
    }

    /// The body of a request.
    public struct Body: Sendable {
        typealias Writer = @Sendable ([UInt8]) async throws -> Void

        enum Content: Sendable {
            case empty
            case bytes([UInt8])
            /// The closure passes the pieces to a function that waits while the connection takes no more.
            case stream(length: Int?, @Sendable (Writer) async throws -> Void)
        }
        let content: Content

        /// No body.
        public static let empty = Body(content: .empty)

        /// These bytes.
        public static func bytes(_ bytes: [UInt8]) -> Body { Body(content: .bytes(bytes)) }

        /// This text in UTF-8.
        public static func text(_ text: String) -> Body { .bytes(Array(text.utf8)) }

        /// The pieces of a sequence, sent as they come, with the chunked coding unless the length is known. The next
        /// piece is requested when the connection can take it.
        ///
        /// A body of which a part was sent is not sent again: not after a lost connection, and not for a redirect that
        /// keeps the body.
        ///
        /// - Parameters:
        ///   - pieces: the sequence. When it throws, the request fails with that error.
        ///   - length: the number of bytes of all pieces together, if it is known. Another number is an error.
        public static func stream<Pieces: AsyncSequence & Sendable>(
            _ pieces: Pieces, length: Int? = nil
        ) -> Body where Pieces.Element == [UInt8] {
            Body(
                content: .stream(length: length) { write in
                    for try await piece in pieces { try await write(piece) }
                })
        }

        /// Whether the body can be sent a second time.
        var isRepeatable: Bool { if case .stream = content { false } else { true } }
    }
}
