internal import CReactor

/// A blocking WebSocket client for scripts, tests and tasks.
///
/// ```swift
/// let socket = try BlockingWebSocket.connect("ws://127.0.0.1:9501/chat")
/// try socket.push("hello")
/// if let frame = try socket.recv(timeout: .seconds(5)) { print(frame.text) }
/// try socket.close()
/// ```
///
/// The rules of ``Client`` hold: not in handlers of a server, one thread at a time, not across a fork. Between calls
/// nothing happens: the server's pings are answered inside ``recv(timeout:)``.
public final class BlockingWebSocket {
    private let connection: BlockingConnection
    private let closeTimeout: Duration

    /// Connects to a `ws:` or `wss:` URL, and returns when the WebSocket is open.
    ///
    /// - Parameters:
    ///   - url: for example "wss://example.com/chat?room=1".
    ///   - configure: changes the settings; see ``WebSocketClientSettings``.
    public static func connect(
        _ url: String, _ configure: (inout WebSocketClientSettings) -> Void = { _ in }
    ) throws(ClientError) -> BlockingWebSocket {
        var settings = WebSocketClientSettings()
        configure(&settings)
        guard settings.reconnects == .never, settings.onState == nil, settings.onPong == nil else {
            throw .argument("reconnects, onState and onPong are settings of WebSocketClient only")
        }
        guard settings.http2 == .never else { throw .argument("http2 must be never for a BlockingWebSocket") }
        let url = try ClientURL(url, .webSocket)
        var options = try settings.options(for: url, tls: url.isSecure ? ClientTLSContext(settings.tls) : nil)
        options.webSocket?.pingInterval = nil
        return BlockingWebSocket(
            try BlockingConnection(options, timeout: settings.connectTimeout), settings.closeTimeout)
    }

    private init(_ connection: BlockingConnection, _ closeTimeout: Duration) {
        self.connection = connection
        self.closeTimeout = closeTimeout
    }

    /// Whether the WebSocket is open, as far as it is known: the server's close is noticed by `recv`.
    public var isOpen: Bool { connection.isOpen }
    /// The subprotocol that the server chose.
    public var subprotocol: String? { connection.subprotocol }
    /// Whether messages are compressed.
    public var isCompressed: Bool { connection.isCompressed }
    /// How the WebSocket was closed; `nil` before.
    public var closeReason: ClientClose? { connection.ending.map { ClientClose($0) } }

    /// Sends a text message; see ``push(_:opcode:finish:timeout:)``.
    public func push(_ text: String, timeout: Duration? = nil) throws(ClientError) {
        try push(Array(text.utf8), opcode: .text, timeout: timeout)
    }

    /// Sends a message, and returns when the system has accepted it. With `finish: false` it is a fragment: the first
    /// has the message's opcode, the others ``Opcode/continuation``, the last `finish: true`.
    ///
    /// - Throws: ``ClientError/Code/invalidMessage``, ``ClientError/Code/closed``, or ``ClientError/Code/timedOut``
    ///   after `timeout`: the rest of the message is then sent by later calls.
    public func push(
        _ bytes: [UInt8], opcode: Opcode = .binary, finish: Bool = true, timeout: Duration? = nil
    ) throws(ClientError) {
        let first = opcode.rawValue | (finish ? UInt8(CRE_WS_FIN) : 0)
        try unsafe connection.send(timeout: timeout) { client in
            unsafe bytes.withUnsafeBytes { unsafe cre_client_push(client, first, $0.baseAddress, $0.count) }
        }
    }

    /// Sends a frame with its own opcode.
    public func push(_ frame: Frame, timeout: Duration? = nil) throws(ClientError) {
        try push(frame.bytes, opcode: frame.opcode, finish: frame.finish, timeout: timeout)
    }

    /// Sends a ping with up to 125 bytes.
    public func ping(_ bytes: [UInt8] = [], timeout: Duration? = nil) throws(ClientError) {
        try push(bytes, opcode: .ping, timeout: timeout)
    }

    /// The next text or binary message; its `fd` is 0. Waits until there is one.
    ///
    /// - Returns: `nil` when the WebSocket was closed with a closing handshake and nothing is left; see
    ///   ``closeReason``.
    /// - Throws: ``ClientError/Code/timedOut`` after `timeout`; the client remains usable. Another error when the
    ///   connection ended in another way.
    public func recv(timeout: Duration? = nil) throws(ClientError) -> Frame? {
        guard let message = try connection.receive(timeout: timeout) else { return nil }
        return Frame(
            fd: ConnectionID(rawValue: 0), opcode: Opcode(rawValue: message.opcode), bytes: message.bytes)
    }

    /// Closes the WebSocket with a closing handshake, for which it waits for a limited time
    /// (``WebSocketClientSettings/closeTimeout``). Messages that were not received are dropped. Closing twice does
    /// nothing.
    public func close(code: UInt16 = 1000, reason: String = "") throws(ClientError) {
        guard cre_ws_close_code_valid(UInt32(code)) else {
            throw .argument("code must be a valid close code, such as 1000 or 4000, got \(code)")
        }
        connection.close(code: code, reason: reason, timeout: closeTimeout)
    }
}

@available(*, unavailable)
extension BlockingWebSocket: Sendable {}
