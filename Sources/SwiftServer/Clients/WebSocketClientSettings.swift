internal import CReactor

/// How a ``WebSocketClient`` or a ``BlockingWebSocket`` connects, and its limits.
public struct WebSocketClientSettings: Sendable {
    /// Further fields of the request, such as `Authorization` or `Cookie`.
    public var fields: [(name: String, value: String)] = []
    /// The subprotocols to offer, preferred ones first; the server chooses one of them, or none.
    public var subprotocols: [String] = []
    /// The field `Origin`, which browsers send and some servers check.
    public var origin: String?
    /// The compression to offer. Default: none.
    public var compression: Compression?
    /// How `wss:` uses TLS. Default: certificates that the system trusts.
    public var tls = ClientTLS()
    /// Whether the WebSocket is carried by HTTP/2 (RFC 8441), of which clients with the same server, TLS and
    /// ``connectTimeout`` share a connection. With `negotiated` HTTP/1.1 is used when the server does not choose
    /// HTTP/2, or accepts no WebSockets over it; with `always` both are errors. A ``BlockingWebSocket`` has only
    /// `never`. Default: `never`.
    public var http2 = ClientHTTP2.never
    /// The most bytes of a received message. A longer one closes the connection with code 1009. Default: 1 MiB.
    public var maxMessage = 1 << 20
    /// The bytes of pending output from which on a push waits. Default: 1 MiB.
    public var maxQueue = 1 << 20
    /// The time limit for connecting: lookup of the host name, TLS and WebSocket handshake. Default: 10 seconds.
    public var connectTimeout: Duration = .seconds(10)
    /// The time limit for the server's part of a close. Default: 5 seconds.
    public var closeTimeout: Duration = .seconds(5)
    /// The silence of the server after which ``WebSocketClient`` sends a ping; `nil`: never. Default: 30 seconds. A
    /// ``BlockingWebSocket`` sends pings only when its `ping()` is called.
    public var pingInterval: Duration? = .seconds(30)
    /// How long the server may stay silent after a ping before the connection ends. Default: 10 seconds.
    public var pingTimeout: Duration = .seconds(10)
    /// Whether and when ``WebSocketClient`` connects again after its connection has ended. Default: never.
    public var reconnects: ReconnectPolicy = .never
    /// Called with each change of the state of a ``WebSocketClient``, on its loop's thread. It must not block.
    public var onState: (@Sendable (WebSocketClient.State) -> Void)?
    /// Called with the payload of each pong that a ``WebSocketClient`` receives, answers to its own pings included, on
    /// its loop's thread. It must not block.
    public var onPong: (@Sendable ([UInt8]) -> Void)?

    /// Makes the default settings.
    public init() {}

    /// The options of one connection.
    func options(for url: ClientURL, tls context: ClientTLSContext?) throws(ClientError) -> ClientOptions {
        func require(_ good: Bool, _ message: String) throws(ClientError) {
            if !good { throw .argument(message) }
        }
        try require((1...1 << 30).contains(maxMessage), "maxMessage must be 1 byte to 1 GiB, got \(maxMessage)")
        try require((1...1 << 30).contains(maxQueue), "maxQueue must be 1 byte to 1 GiB, got \(maxQueue)")
        for (name, value) in [
            ("connectTimeout", connectTimeout), ("closeTimeout", closeTimeout), ("pingTimeout", pingTimeout),
            ("pingInterval", pingInterval ?? .seconds(1)),
        ] {
            try require(
                value > .zero && value.milliseconds <= 86_400_000, "\(name) must be 1 ms to 1 day, got \(value)")
        }
        do {
            try compression?.check()
        } catch {
            throw .argument(error.message)
        }
        try reconnects.check()
        try http2.check()
        var options = ClientOptions(host: url.host, port: url.port)
        options.tls = context
        options.tlsName = context == nil ? nil : tls.serverName
        options.http2 = http2
        if context != nil, http2 != .never {
            options.clientTLS = tls
            options.carrierTLS = try ClientTLSContext(tls, protocols: http2.protocols)
        }
        options.maxQueue = maxQueue
        options.closeTimeout = closeTimeout
        options.webSocket = ClientOptions.WebSocket(
            target: url.target, subprotocols: subprotocols, origin: origin, fields: fields,
            compression: compression?.config, maxMessage: maxMessage, pingInterval: pingInterval,
            pingTimeout: pingTimeout)
        return options
    }
}

/// How the WebSocket of a client was closed.
public struct ClientClose: Sendable, Hashable, CustomStringConvertible {
    /// The close code: 1005 when there was none, 1006 when the connection ended without a closing handshake.
    public let code: UInt16
    /// The reason that the server gave; may be empty.
    public let reason: String
    /// Whether the server closed first.
    public let isByServer: Bool

    /// In words, for logs.
    public var description: String {
        "closed by the \(isByServer ? "server" : "client") with code \(code)\(reason.isEmpty ? "" : ": \(reason)")"
    }

    init(_ ending: ClientEnding) {
        code = ending.closeCode
        reason = ending.cause == 0 ? ending.text : ""
        isByServer = ending.isByServer
    }
}
