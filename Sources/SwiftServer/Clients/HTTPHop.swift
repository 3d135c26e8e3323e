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

    /// For errors.
    var name: String {
        path.map { "unix:" + $0 } ?? tunnel ?? (host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)")
    }
}

/// One request of a chain of redirects.
struct HTTPHop: Sendable {
    let url: ClientURL
    let method: String
    let headers: HTTPClient.Fields
    let body: HTTPClientRequest.Body
    let unixSocket: String?
    let redirects: Int
    private let proxy: HTTPProxy?

    /// Fields that describe a body, and those that only the original origin may see.
    private static let ofBody = ["Content-Type", "Content-Encoding", "Content-Language", "Content-Location", "Digest"]
    private static let secret = ["Authorization", "Cookie", "Proxy-Authorization"]

    init(_ request: HTTPClientRequest, _ settings: HTTPClientSettings) throws(ClientError) {
        url = try ClientURL(request.url, .http)
        var headers = request.headers
        for (name, value) in settings.headers where headers[name] == nil { headers.add(name, value) }
        #if Deflate
        if settings.decompresses, headers["Accept-Encoding"] == nil, headers["Range"] == nil {
            headers.add("Accept-Encoding", "gzip, deflate")
        }
        #endif
        method = request.method
        self.headers = headers
        body = request.body
        unixSocket = request.unixSocket
        redirects = 0
        proxy = request.unixSocket == nil && settings.proxy?.serves(url.host) == true ? settings.proxy : nil
        if let path = unixSocket, path.isEmpty || path.utf8.contains(0) {
            throw .argument("unixSocket must be a path, got \(path)")
        }
        if case .stream(let length?, _) = body.content, length < 0 {
            throw .argument("the length of a body must be at least 0, got \(length)")
        }
    }

    private init(
        url: ClientURL, method: String, headers: HTTPClient.Fields, body: HTTPClientRequest.Body, unixSocket: String?,
        redirects: Int, proxy: HTTPProxy?
    ) {
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
            host: proxy.host, port: proxy.port, isSecure: url.isSecure, tunnel: url.isSecure ? server : nil)
    }

    /// The name that the server's certificate must have.
    var serverName: String { url.host }

    /// The target of the request line: with a proxy that is no tunnel, the whole URL.
    var target: String { proxy != nil && !url.isSecure ? url.text : url.target }

    /// The credentials for the proxy that gets this request.
    var proxyAuthorization: String? { proxy?.authorization }
    var usesTunnel: Bool { proxy != nil && url.isSecure }

    // MARK: Redirects

    /// The request that follows a response; `nil`: the response is the last one.
    func next(status: Int, location: String?, _ settings: HTTPClientSettings) throws(ClientError) -> HTTPHop? {
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
        } else if !body.isRepeatable {
            throw failure("the body is a stream, which cannot be sent again")
        }
        let isSameOrigin =
            next.isSecure == url.isSecure && next.host.lowercased() == url.host.lowercased() && next.port == url.port
        if !isSameOrigin {
            for name in HTTPHop.secret { headers.remove(name) }
        }
        return HTTPHop(
            url: next, method: becomesGet ? "GET" : method, headers: headers, body: becomesGet ? .empty : body,
            unixSocket: isSameOrigin ? unixSocket : nil, redirects: redirects + 1,
            proxy: settings.proxy?.serves(next.host) == true && !(isSameOrigin && unixSocket != nil)
                ? settings.proxy : nil)
    }
}
