/// How an ``HTTPClient`` connects, and its limits.
public struct HTTPClientSettings: Sendable {
    /// How `https` uses TLS. Default: certificates that the system trusts.
    public var tls = ClientTLS()
    /// Fields of each request that has none of the same name.
    public var headers: HTTPClient.Fields = [:]
    /// The proxy. Default: none.
    public var proxy: HTTPProxy?

    /// Whether HTTP/2 is used. Requests to `http` URLs through a proxy always use HTTP/1.1. Default: `negotiated`.
    public var http2 = ClientHTTP2.negotiated
    /// The most requests at the same time on one connection with HTTP/2; the server may allow fewer. Default: 100.
    public var maxStreams = 100

    /// The time limit for waiting for a free connection, and again for opening one: lookup of the host name, TCP, TLS.
    /// Default: 10 seconds.
    public var connectTimeout: Duration = .seconds(10)
    /// The longest silence of the server during a request, and the longest time in which it accepts nothing of a body.
    /// `nil`: no limit. Default: 60 seconds.
    public var readTimeout: Duration? = .seconds(60)
    /// The time limit from the call to the end of the response, over all redirects. `nil`: no limit. Default: no limit.
    public var timeout: Duration?
    /// How long a connection stays open without a request. Default: 30 seconds.
    public var idleTimeout: Duration = .seconds(30)

    /// The size from which on bodies of requests are announced by `Expect: 100-continue`, as are those of unknown size:
    /// they are sent when the server asks for them, so that a refused request costs no upload. A request that is
    /// refused because of the field (status 417) is sent again without it. `nil`: no body is announced. Default: 1 MiB.
    public var continueThreshold: Int? = 1 << 20
    /// The time after which an announced body is sent although the server has not asked for it: servers may ignore the
    /// field.
    /// Default: 1 second.
    public var continueTimeout: Duration = .seconds(1)

    /// The most connections to one origin: scheme, host and port. Further requests wait for one of them. With HTTP/2
    /// there is one connection until it carries as many requests as both sides allow. Default: 16.
    public var maxConnectionsPerOrigin = 16
    /// The most connections without a request, over all origins. Default: 64.
    public var maxIdleConnections = 64
    /// The most requests to one origin that wait for a connection; more fail with ``ClientError/Code/busy``. Default:
    /// 1000.
    public var maxWaiting = 1000
    /// The most redirects that are followed for one request. 0: responses that redirect are returned. Default: 5.
    public var maxRedirects = 5

    /// The bytes of a response's body that are buffered when it is read slowly; then the server has to wait. With
    /// HTTP/2 up to as many again may arrive before it waits, at least 64 KiB and at most 16 MiB. Default: 256 KiB.
    public var maxBuffer = 256 << 10
    /// The bytes of a request's body that are buffered when the server reads slowly. Default: 256 KiB.
    public var maxQueue = 256 << 10
    /// The most bytes of a response's head, up to 65535. Default: 65535.
    public var maxHead = 65_535
    /// Whether compressed responses are requested and decompressed: gzip and deflate with the trait `Deflate`, Brotli
    /// with `Brotli`, Zstandard with `Zstd`. Default: yes.
    public var decompresses = true
    /// The most bytes of a decompressed body; more fail with ``ClientError/Code/tooLarge``, so that a small response
    /// cannot fill the memory. Default: 64 MiB.
    public var maxDecompressed = 64 << 20

    /// Makes the default settings.
    public init() {}

    func check() throws(ClientError) {
        func require(_ good: Bool, _ message: String) throws(ClientError) {
            if !good { throw .argument(message) }
        }
        let day = Duration.seconds(86_400)
        for (name, value) in [
            ("connectTimeout", connectTimeout), ("idleTimeout", idleTimeout), ("readTimeout", readTimeout ?? day),
            ("timeout", timeout ?? day), ("continueTimeout", continueTimeout),
        ] {
            try require(value > .zero && value <= day, "\(name) must be 1 ms to 1 day, got \(value)")
        }
        for (name, value, least, most) in [
            ("maxConnectionsPerOrigin", maxConnectionsPerOrigin, 1, 65_536),
            ("maxIdleConnections", maxIdleConnections, 0, 65_536), ("maxWaiting", maxWaiting, 0, 1 << 20),
            ("maxStreams", maxStreams, 1, 65_535),
            ("maxRedirects", maxRedirects, 0, 100), ("maxBuffer", maxBuffer, 1, 1 << 30),
            ("maxQueue", maxQueue, 1, 1 << 30), ("maxHead", maxHead, 128, 65_535),
            ("maxDecompressed", maxDecompressed, 1, 1 << 40),
            ("continueThreshold", continueThreshold ?? 0, 0, 1 << 40),
        ] {
            try require((least...most).contains(value), "\(name) must be \(least) to \(most), got \(value)")
        }
        try proxy?.check()
        try http2.check()
    }
}

/// An HTTP proxy: requests to `http` URLs are sent to it, and for `https` it is asked for a tunnel (CONNECT).
public struct HTTPProxy: Sendable, Hashable {
    /// The host name or address.
    public var host: String
    /// The port.
    public var port: Int
    /// How TLS is used with the proxy itself (an "https proxy"); that with an `https` server is inside of it. Its
    /// `serverName` is `host` by default. `nil`: no TLS. Default: none.
    public var tls: ClientTLS?
    /// The field `Proxy-Authorization`, for example "Basic dXNlcjpzZWNyZXQ=".
    public var authorization: String?
    /// Hosts that are connected to directly. A name that starts with a dot stands for all hosts of a domain.
    public var excluded: [String]

    /// Makes the address of a proxy.
    public init(
        host: String, port: Int, tls: ClientTLS? = nil, authorization: String? = nil, excluded: [String] = []
    ) {
        self.host = host
        self.port = port
        self.tls = tls
        self.authorization = authorization
        self.excluded = excluded
    }

    func check() throws(ClientError) {
        guard !host.isEmpty, !host.utf8.contains(0), !host.hasPrefix("unix:") else {
            throw .argument("proxy.host must be an address or a name, got \(host)")
        }
        guard (1...65_535).contains(port) else { throw .argument("proxy.port must be 1 to 65535, got \(port)") }
    }

    func serves(_ host: String) -> Bool {
        let host = host.lowercased()
        return !excluded.contains { entry in
            let entry = entry.lowercased()
            return entry == host || entry.hasPrefix(".") && host.hasSuffix(entry)
        }
    }
}
