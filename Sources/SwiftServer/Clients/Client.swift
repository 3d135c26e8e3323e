internal import CReactor

/// A blocking client for scripts, tests and tasks: TCP, UDP, Unix sockets and TLS.
///
/// ```swift
/// let client = try Client.connect(.tcp, host: "127.0.0.1", port: 9501, timeout: .seconds(5))
/// try client.send("hello server")
/// if let answer = try client.recv(timeout: .seconds(5)) {
///     print(String(decoding: answer, as: UTF8.self))
/// }
/// client.close()
/// ```
///
/// Its calls wait, so a handler of a server must not use it: it would stop all connections of its worker. In task
/// workers and in programs without a server it is the simplest way. It needs no running event loop, and works in any
/// thread and process; one thread at a time may use it, and it does not survive a fork. Before `start()` of a server
/// connect by address: the lookup of a host name starts threads, with which the server cannot fork.
public final class Client {
    /// The kind of a connection.
    public struct Kind: Sendable, Hashable {
        enum Transport: Sendable, Hashable {
            case tcp, udp
            case tls(ClientTLS)
        }
        let transport: Transport

        /// A TCP connection.
        public static let tcp = Kind(transport: .tcp)
        /// A UDP socket, which sends packets to one address and receives those from it.
        public static let udp = Kind(transport: .udp)
        /// A TCP connection with TLS, for certificates that the system trusts.
        public static let tls = Kind.tls(ClientTLS())

        /// A TCP connection with TLS.
        public static func tls(_ configuration: ClientTLS) -> Kind { Kind(transport: .tls(configuration)) }
    }

    private enum Link {
        case stream(BlockingConnection)
        case datagrams(Datagrams)
    }

    private let link: Link
    private let isFramed: Bool
    /// Where the client is connected to, for messages: "localhost:9501".
    public let name: String

    private init(_ options: ClientOptions, _ kind: Kind, timeout: Duration) throws(ClientError) {
        var options = options
        name = options.name
        isFramed = options.framing != .none
        switch kind.transport {
        case .udp:
            if isFramed { throw .argument("framing must be .none for UDP, whose packets have ends") }
            link = .datagrams(try Datagrams(options, timeout: timeout))
            return
        case .tcp: break
        case .tls(let tls):
            options.tls = try ClientTLSContext(tls)
            options.tlsName = tls.serverName
        }
        link = .stream(try BlockingConnection(options, timeout: timeout))
    }

    /// Connects to a server, and returns when data can be sent.
    ///
    /// - Parameters:
    ///   - kind: `.tcp`, `.udp`, `.tls` or `.tls(configuration)`.
    ///   - host: an IPv4 or IPv6 address, or a name. All addresses of a name are tried.
    ///   - port: the port, 1 to 65535.
    ///   - timeout: the time limit for everything: the lookup of the name, connecting, the handshake of TLS.
    ///   - framing: where packets end in a stream, as ``PortSettings/framing`` of a server. Received packets are whole
    ///     then; data to send must contain its own markers or lengths.
    ///   - maxPacket: the largest packet that is accepted with a framing. Default: 2 MiB.
    public static func connect(
        _ kind: Kind = .tcp, host: String, port: Int, timeout: Duration = .seconds(10), framing: Framing = .none,
        maxPacket: Int = 2 << 20
    ) throws(ClientError) -> Client {
        if host.hasPrefix("unix:") {
            throw .argument("host must be an address or a name, got \(host); see connect(unix:)")
        }
        guard (1...65_535).contains(port) else { throw .argument("port must be 1 to 65535, got \(port)") }
        var options = ClientOptions(host: host, port: port)
        options.framing = framing
        options.maxPacket = maxPacket
        return try Client(options, kind, timeout: timeout)
    }

    /// Connects to the stream socket at a path; "@name" is an abstract socket. See
    /// ``connect(_:host:port:timeout:framing:maxPacket:)``.
    public static func connect(
        unix path: String, timeout: Duration = .seconds(10), framing: Framing = .none, maxPacket: Int = 2 << 20
    ) throws(ClientError) -> Client {
        var options = ClientOptions(host: "unix:" + path, port: 0)
        options.framing = framing
        options.maxPacket = maxPacket
        return try Client(options, .tcp, timeout: timeout)
    }

    /// Whether the connection is open, as far as it is known: ``recv(maxLength:timeout:)`` notices the end of the other
    /// side.
    public var isOpen: Bool {
        switch link {
        case .stream(let connection): connection.isOpen
        case .datagrams(let datagrams): datagrams.isOpen
        }
    }

    /// Sends text; see ``send(_:timeout:)-([UInt8],_)``.
    public func send(_ text: String, timeout: Duration? = nil) throws(ClientError) {
        try send(Array(text.utf8), timeout: timeout)
    }

    /// Sends bytes, as one packet with UDP, and returns when the system has accepted all of them.
    ///
    /// - Parameters:
    ///   - bytes: what is sent.
    ///   - timeout: `nil`: no limit. When it has passed, bytes that were not accepted yet are sent by the next call.
    public func send(_ bytes: [UInt8], timeout: Duration? = nil) throws(ClientError) {
        switch link {
        case .datagrams(let datagrams): try datagrams.send(bytes, timeout: timeout)
        case .stream(let connection):
            try unsafe connection.send(timeout: timeout) { client in
                unsafe bytes.withUnsafeBytes { unsafe cre_client_send(client, $0.baseAddress, $0.count) }
            }
        }
    }

    /// Receives bytes as they arrive, a packet with a framing or with UDP. Waits until there is something.
    ///
    /// - Parameters:
    ///   - maxLength: the most bytes that are returned. The rest of a stream is for the next call; a longer packet of a
    ///     framing throws ``ClientError/Code/invalidMessage`` and can be received with a larger limit; the rest of a
    ///     longer UDP packet is lost.
    ///   - timeout: `nil`: no limit. Afterwards ``ClientError/Code/timedOut`` is thrown and the client remains usable.
    /// - Returns: `nil` when the other side has ended the connection and nothing is left.
    public func recv(maxLength: Int = 2 << 20, timeout: Duration? = nil) throws(ClientError) -> [UInt8]? {
        guard maxLength > 0 else { throw .argument("maxLength must be at least 1, got \(maxLength)") }
        switch link {
        case .datagrams(let datagrams): return try datagrams.receive(maxLength: maxLength, timeout: timeout)
        case .stream(let connection):
            guard let message = try connection.receive(timeout: timeout) else { return nil }
            if message.bytes.count <= maxLength { return message.bytes }
            if isFramed {
                connection.putBack(message)
                throw ClientError(
                    .invalidMessage, "the packet has \(message.bytes.count) bytes, more than maxLength \(maxLength)")
            }
            connection.putBack(.init(opcode: 0, bytes: Array(message.bytes[maxLength...])))
            return Array(message.bytes[..<maxLength])
        }
    }

    /// Closes the connection. Waits up to a second for the other side to receive what was sent. Closing twice does
    /// nothing.
    public func close() {
        switch link {
        case .stream(let connection): connection.close(code: 0, reason: "", timeout: .seconds(1))
        case .datagrams(let datagrams): datagrams.close()
        }
    }
}

@available(*, unavailable)
extension Client: Sendable {}
