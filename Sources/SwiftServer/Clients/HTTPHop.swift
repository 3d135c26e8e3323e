internal import CReactor

/// What connections can be shared by: the server that they lead to.
struct HTTPOrigin: Hashable, Sendable {
    var host: String
    var port: Int
    var isSecure: Bool
    /// The server behind a proxy that gives tunnels: "host:port".
    var tunnel: String?
    /// The path of a Unix socket.
    var path: String?
    /// Whether the host is a proxy that TLS is used with.
    var isProxySecure = false
    /// Whether the host is a proxy that gets the whole URL.
    var isPlainProxy = false

    /// For errors.
    var name: String {
        path.map { "unix:" + $0 } ?? tunnel ?? (host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)")
    }
}

/// One request of a chain of redirects.
struct HTTPHop: Sendable {
    let url: ClientURL
    let method: String
    private(set) var headers: HTTPClient.Fields
    let body: HTTPClientRequest.Body
    let trailers: (@Sendable () async throws -> HTTPClient.Fields)?
    let unixSocket: String?
    let redirects: Int
    /// Whether the client announces the body by `Expect: 100-continue`.
    private(set) var expectsContinue = false
    private let proxy: HTTPProxy?

    /// Fields that describe a body, and those that only the original origin may see.
    private static let ofBody = ["Content-Type", "Content-Encoding", "Content-Language", "Content-Location", "Digest"]
    private static let secret = ["Authorization", "Cookie", "Proxy-Authorization"]

    init(_ request: HTTPClientRequest, _ settings: HTTPClientSettings) throws(ClientError) {
        url = try ClientURL(request.url, .http)
        var headers = request.headers
        for (name, value) in settings.headers where headers[name] == nil { headers.add(name, value) }
        if settings.decompresses, let codings = HTTPDecoder.codings, headers["Accept-Encoding"] == nil,
            headers["Range"] == nil
        {
            headers.add("Accept-Encoding", codings)
        }
        method = request.method
        self.headers = headers
        trailers = request.trailers
        body = trailers == nil ? request.body : try request.body.withUnknownLength()
        unixSocket = request.unixSocket
        redirects = 0
        proxy = request.unixSocket == nil && settings.proxy?.serves(url.host) == true ? settings.proxy : nil
        if let path = unixSocket, path.isEmpty || path.utf8.contains(0) {
            throw .argument("unixSocket must be a path, got \(path)")
        }
        if case .stream(let length?, _) = body.content, length < 0 {
            throw .argument("the length of a body must be at least 0, got \(length)")
        }
        let size = request.body.size
        switch headers["Expect"]?.lowercased() {
        case nil: expectsContinue = settings.continueThreshold.map { size ?? .max >= max(1, $0) } ?? false
        case "100-continue": expectsContinue = size != 0
        case "": expectsContinue = false
        case let other?: throw .argument("the field Expect must be 100-continue or empty, got \(other)")
        }
        self.headers.remove("Expect")
    }

    /// This request without `Expect`, which the server has refused.
    var withoutExpectation: HTTPHop {
        var hop = self
        hop.expectsContinue = false
        return hop
    }

    private init(
        url: ClientURL, method: String, headers: HTTPClient.Fields, body: HTTPClientRequest.Body,
        trailers: (@Sendable () async throws -> HTTPClient.Fields)?, unixSocket: String?, redirects: Int,
        expectsContinue: Bool, proxy: HTTPProxy?
    ) {
        self.expectsContinue = expectsContinue
        self.trailers = trailers
        self.url = url
        self.method = method
        self.headers = headers
        self.body = body
        self.unixSocket = unixSocket
        self.redirects = redirects
        self.proxy = proxy
    }

    var isIdempotent: Bool { ["GET", "HEAD", "PUT", "DELETE", "OPTIONS", "TRACE"].contains(method) }

    /// Where to connect to.
    var origin: HTTPOrigin {
        let host = url.host.lowercased()
        if let unixSocket {
            return HTTPOrigin(host: host, port: url.port, isSecure: url.isSecure, tunnel: nil, path: unixSocket)
        }
        guard let proxy else { return HTTPOrigin(host: host, port: url.port, isSecure: url.isSecure) }
        let server = host.contains(":") ? "[\(host)]:\(url.port)" : "\(host):\(url.port)"
        return HTTPOrigin(
            host: proxy.host, port: proxy.port, isSecure: url.isSecure, tunnel: url.isSecure ? server : nil,
            isProxySecure: proxy.tls != nil, isPlainProxy: !url.isSecure)
    }

    /// The name that the server's certificate must have.
    var serverName: String { url.host }

    /// The target of the request line: with a proxy that is no tunnel, the whole URL.
    var target: String { proxy != nil && !url.isSecure ? url.text : url.target }

    /// The credentials for the proxy that gets this request.
    var proxyAuthorization: String? { proxy?.authorization }
    var usesTunnel: Bool { proxy != nil && url.isSecure }

    // MARK: Redirects

    /// The request that follows a response; `nil`: the response is the last one. `hasBegunBody`: a part of the body of
    /// this request may have been sent.
    func next(
        status: Int, location: String?, _ settings: HTTPClientSettings, hasBegunBody: Bool = true
    ) throws(ClientError) -> HTTPHop? {
        guard [301, 302, 303, 307, 308].contains(status), let location, settings.maxRedirects > 0 else { return nil }
        func failure(_ cause: String) -> ClientError {
            ClientError(.redirect, "\(url.text) redirects to \(location.prefix(200)): \(cause)", status: status)
        }
        guard redirects < settings.maxRedirects else {
            throw failure("more than \(settings.maxRedirects) redirects (maxRedirects)")
        }
        let next: ClientURL
        do {
            next = try url.resolving(location)
        } catch {
            throw failure(error.message)
        }
        // RFC 9110 section 15.4: 303 asks for the result by GET, and so do browsers after a POST for 301 and 302.
        let becomesGet = status == 303 && method != "HEAD" || (status == 301 || status == 302) && method == "POST"
        var headers = headers
        if becomesGet {
            for name in HTTPHop.ofBody { headers.remove(name) }
        } else if !body.isRepeatable, hasBegunBody {
            throw failure("the body is a stream, which cannot be sent again")
        }
        let isSameOrigin =
            next.isSecure == url.isSecure && next.host.lowercased() == url.host.lowercased() && next.port == url.port
        if !isSameOrigin {
            for name in HTTPHop.secret { headers.remove(name) }
        }
        return HTTPHop(
            url: next, method: becomesGet ? "GET" : method, headers: headers, body: becomesGet ? .empty : body,
            trailers: becomesGet ? nil : trailers,
            unixSocket: isSameOrigin ? unixSocket : nil, redirects: redirects + 1,
            expectsContinue: expectsContinue && !becomesGet,
            proxy: settings.proxy?.serves(next.host) == true && !(isSameOrigin && unixSocket != nil)
                ? settings.proxy : nil)
    }
}

extension HTTPClientRequest.Body {
    /// The number of bytes; `nil`: not known.
    fileprivate var size: Int? {
        switch content {
        case .empty: 0
        case .bytes(let bytes): bytes.count
        case .stream(let length, _): length
        }
    }

    /// The body as a stream of unknown length, as it is sent in front of trailers.
    fileprivate func withUnknownLength() throws(ClientError) -> HTTPClientRequest.Body {
        switch content {
        case .empty: HTTPClientRequest.Body(content: .stream(length: nil) { _ in })
        case .bytes(let bytes): HTTPClientRequest.Body(content: .stream(length: nil) { try await $0(bytes) })
        case .stream(nil, _): self
        case .stream: throw .argument("length of the body must be nil in a request with trailers")
        }
    }
}
