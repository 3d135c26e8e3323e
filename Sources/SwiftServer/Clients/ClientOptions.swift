internal import CReactor

/// How a connection of a client ended.
struct ClientEnding: Sendable {
    /// 0: in order; otherwise an error of the C core.
    let cause: Int32
    let isOpened: Bool
    let isByServer: Bool
    let closeCode: UInt16
    let text: String
    let status: Int?

    init(_ ending: cre_client_ending) {
        cause = unsafe ending.error
        isOpened = unsafe ending.opened
        isByServer = unsafe ending.by_server
        closeCode = unsafe ending.code
        let bytes = unsafe UnsafeRawBufferPointer(start: ending.text, count: ending.text_length)
        text = unsafe String(decoding: bytes, as: UTF8.self)
        status = unsafe ending.status == 0 ? nil : Int(ending.status)
    }

    /// The end of a connection that was not opened.
    init(cause: Int32) {
        self.cause = cause
        (isOpened, isByServer, closeCode, text, status) = (false, false, 1006, "", nil)
    }

    func error(_ action: String) -> ClientError {
        ClientError(action, cause, detail: cause == CRE_ETLS.rawValue ? text : "", status: status)
    }
}

/// What a connection of a client is made from.
struct ClientOptions: Sendable {
    /// What only WebSockets have.
    struct WebSocket: Sendable {
        var target = "/"
        var authority: String?
        var subprotocols: [String] = []
        var origin: String?
        var fields: [(name: String, value: String)] = []
        var compression: cre_ws_deflate_config?
        var maxMessage = 1 << 20
        var pingInterval: Duration?
        var pingTimeout: Duration = .seconds(10)
    }

    var host: String
    var port: Int
    var tls: ClientTLSContext?
    var tlsName: String?
    var framing = Framing.none
    var maxPacket = 2 << 20
    var maxQueue = 0
    var closeTimeout: Duration = .seconds(5)
    var webSocket: WebSocket?
    /// WebSockets: whether HTTP/2 is used, and how the connection uses TLS then.
    var http2 = ClientHTTP2.never
    var clientTLS: ClientTLS?
    var carrierTLS: ClientTLSContext?

    init(host: String, port: Int) {
        self.host = host
        self.port = port
    }

    /// For errors.
    var name: String { port == 0 ? host : host.contains(":") ? "[\(host)]:\(port)" : "\(host):\(port)" }

    /// The connection that carries the WebSocket; `nil`: it has one of its own.
    func carrierKey(timeout: Duration) -> ClientCarrier.Key? {
        if http2.use(isSecure: tls != nil) == UInt32(CRE_HTTP_CLIENT_HTTP1.rawValue) { return nil }
        return ClientCarrier.Key(host: host, port: port, tls: clientTLS, http2: http2, timeout: timeout)
    }

    /// Checks what the C core would cut off.
    func check(timeout: Duration) throws(ClientError) {
        guard (0...65_535).contains(port) else { throw .argument("port must be 0 to 65535, got \(port)") }
        guard timeout > .zero, timeout.milliseconds <= 86_400_000 else {
            throw .argument("timeout must be 1 ms to 1 day, got \(timeout)")
        }
        guard (1...(1 << 30)).contains(maxPacket) else {
            throw .argument("maxPacket must be 1 to \(1 << 30) bytes, got \(maxPacket)")
        }
        if host.utf8.contains(0) || host.isEmpty { throw .argument("host must be an address or a name") }
    }

    /// Starts connecting. `callbacks` sets the callbacks.
    func connect(
        _ clients: OpaquePointer, timeout: Duration, context: UnsafeMutableRawPointer,
        over carrier: OpaquePointer? = nil, _ callbacks: (inout cre_client_options) -> Void
    ) throws(ClientError) -> OpaquePointer {
        try check(timeout: timeout)
        guard var framing = unsafe framing.config(maxLength: maxPacket) else {
            throw .argument("framing must have a marker of 1 to 8 bytes, or a length field of a known type")
        }
        let memory = unsafe BorrowedText()
        defer { unsafe memory.release() }
        var options = unsafe cre_client_options()
        unsafe options.size = MemoryLayout<cre_client_options>.size
        unsafe options.host = memory.string(host)
        unsafe options.port = UInt16(port)
        unsafe options.timeout_ms = UInt32(timeout.milliseconds)
        unsafe options.tls = tls?.raw
        if let tlsName { unsafe options.tls_name = memory.string(tlsName) }
        unsafe options.max_queue = UInt32(clamping: maxQueue)
        unsafe options.close_timeout_ms = UInt32(clamping: max(1, closeTimeout.milliseconds))
        unsafe options.carrier = carrier
        unsafe options.context = context
        unsafe callbacks(&options)
        var client: OpaquePointer?
        var fields: [cre_http_header] = unsafe []
        var compression = webSocket?.compression ?? cre_ws_deflate_config()
        if let webSocket {
            unsafe options.websocket = 1
            unsafe set(webSocket, in: &options, memory)
            unsafe fields = webSocket.fields.map { unsafe memory.field($0.name, $0.value) }
        }
        let result = unsafe fields.withUnsafeBufferPointer { fields in
            unsafe options.fields = fields.baseAddress
            unsafe options.field_count = fields.count
            return unsafe withUnsafePointer(to: &framing) { framing in
                unsafe options.framing = framing
                return unsafe withUnsafePointer(to: &compression) { compression in
                    if unsafe compression.pointee.size != 0 { unsafe options.deflate = compression }
                    return unsafe cre_client_connect(clients, &options, &client)
                }
            }
        }
        guard result == 0, let client = unsafe client else { throw ClientError("cannot connect to \(name)", result) }
        return unsafe client
    }

    private func set(_ webSocket: WebSocket, in options: inout cre_client_options, _ memory: BorrowedText) {
        unsafe options.target = memory.string(webSocket.target)
        if let authority = webSocket.authority { unsafe options.authority = memory.string(authority) }
        if let origin = webSocket.origin { unsafe options.origin = memory.string(origin) }
        if !webSocket.subprotocols.isEmpty {
            unsafe options.subprotocols = memory.string(webSocket.subprotocols.joined(separator: ", "))
        }
        unsafe options.max_message = UInt64(clamping: webSocket.maxMessage)
        if let interval = webSocket.pingInterval {
            unsafe options.ping_interval_ms = UInt32(clamping: max(1, interval.milliseconds))
            unsafe options.ping_timeout_ms = UInt32(clamping: max(1, webSocket.pingTimeout.milliseconds))
        }
    }

    static func subprotocol(_ opening: UnsafePointer<cre_client_opening>) -> String? {
        guard let text = unsafe opening.pointee.subprotocol else { return nil }
        let bytes = unsafe UnsafeRawBufferPointer(start: text, count: opening.pointee.subprotocol_length)
        return unsafe String(decoding: bytes, as: UTF8.self)
    }
}
