/// An asynchronous client for HTTP/1.1 and HTTP/2.
///
/// ```swift
/// let client = HTTPClient()
/// let response = try await client.get("https://example.com/")
/// print(response.status, try await response.body.text(upTo: 1 << 20))
/// ```
///
/// It keeps connections open for further requests, follows redirects, decompresses responses, and streams bodies in
/// both directions. Use one client for all requests with the same settings: its connections are shared by all of them.
///
/// In a process of a server it runs on the event loop of that process, beside its handlers; each worker has connections
/// of its own, also when the client was made before `start()`. In a program without a server it runs on a thread of its
/// own, which it shares with other clients; `start()` of a server then refuses to run, because a process with threads
/// cannot be forked safely.
///
/// It keeps no cookies, by design: cookies of one user must not reach the requests of another. Send those that a
/// request needs in its field `Cookie`.
///
/// A request that was sent on a kept connection is sent once more, on a new one, if the server closed the connection
/// before it answered, the method is idempotent (GET, HEAD, PUT, DELETE, OPTIONS, TRACE) and nothing of a stream was
/// sent. A request that an HTTP/2 server has not processed, as its GOAWAY or RST_STREAM frame says, is sent again
/// whatever its method is, unless a part of a stream was sent. Nothing else is repeated.
///
/// With HTTP/2, see ``HTTPClientSettings/http2``, requests to one origin share a connection, and a second one is opened
/// when the first carries as many as the server allows. A request that is cancelled, or whose response is released,
/// leaves its connection open then.
public final class HTTPClient: Sendable {
    /// The settings.
    public let settings: HTTPClientSettings
    private let connections = Lock<HTTPConnections?>(nil)

    /// Makes a client.
    ///
    /// - Parameter configure: changes the settings; see ``HTTPClientSettings``. Invalid settings are errors of the
    ///   requests.
    public init(_ configure: (inout HTTPClientSettings) -> Void = { _ in }) {
        var settings = HTTPClientSettings()
        configure(&settings)
        self.settings = settings
    }

    deinit { closeIdleConnections() }

    /// Sends a request, and returns when the head of the response has arrived.
    ///
    /// - Throws: ``ClientError``; `CancellationError` when the task is cancelled: the connection is closed.
    public func execute(_ request: HTTPClientRequest) async throws -> HTTPClientResponse {
        try await current().execute(request)
    }

    /// Sends a GET request; see ``execute(_:)``.
    public func get(_ url: String, headers: Fields = [:]) async throws -> HTTPClientResponse {
        try await execute(HTTPClientRequest(url, headers: headers))
    }

    /// Sends a HEAD request; see ``execute(_:)``.
    public func head(_ url: String, headers: Fields = [:]) async throws -> HTTPClientResponse {
        try await execute(HTTPClientRequest(url, method: "HEAD", headers: headers))
    }

    /// Sends a POST request; see ``execute(_:)``.
    public func post(
        _ url: String, headers: Fields = [:], body: HTTPClientRequest.Body = .empty
    ) async throws -> HTTPClientResponse {
        try await execute(HTTPClientRequest(url, method: "POST", headers: headers, body: body))
    }

    /// Sends a PUT request; see ``execute(_:)``.
    public func put(
        _ url: String, headers: Fields = [:], body: HTTPClientRequest.Body = .empty
    ) async throws -> HTTPClientResponse {
        try await execute(HTTPClientRequest(url, method: "PUT", headers: headers, body: body))
    }

    /// Sends a PATCH request; see ``execute(_:)``.
    public func patch(
        _ url: String, headers: Fields = [:], body: HTTPClientRequest.Body = .empty
    ) async throws -> HTTPClientResponse {
        try await execute(HTTPClientRequest(url, method: "PATCH", headers: headers, body: body))
    }

    /// Sends a DELETE request; see ``execute(_:)``.
    public func delete(_ url: String, headers: Fields = [:]) async throws -> HTTPClientResponse {
        try await execute(HTTPClientRequest(url, method: "DELETE", headers: headers))
    }

    /// Closes the connections without a request.
    public func closeIdleConnections() {
        guard let connections = connections.withLock({ $0 }) else { return }
        let pool = connections.pool
        pool.loop.post { pool.closeIdle() }
    }

    /// The connections of the loop that clients of this process use now.
    private func current() throws(ClientError) -> HTTPConnections {
        let loop = try ClientLoop.current()
        if let known = connections.withLock({ $0 }), known.loop === loop { return known }
        try settings.check()
        return connections.withLock { known in
            if let known, known.loop === loop { return known }
            let made = HTTPConnections(loop, settings)
            known = made
            return made
        }
    }
}
