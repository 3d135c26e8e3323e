internal import CReactor

/// A connection with HTTP/2 that the WebSockets of one loop to one server share. It closes when it carries none. On the
/// loop's thread.
@safe final class ClientCarrier: ClientLoopMember, @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.

    /// What WebSockets must have in common to share a connection.
    struct Key: Hashable, Sendable {
        var host: String
        var port: Int
        var tls: ClientTLS?
        var http2: ClientHTTP2
        var timeout: Duration
    }

    /// How a connection attempt came out.
    enum Outcome {
        /// The connection may carry WebSockets, if its server accepts them.
        case open(ClientCarrier)
        /// The server has chosen HTTP/1.1.
        case http1
        case failed(ClientEnding)
    }

    private let key: Key
    private unowned let loop: ClientLoop
    private(set) var raw: OpaquePointer?
    private var isOpen = false
    private var waiters: [(Outcome) -> Void] = []

    /// The streams of one connection; a server may allow fewer.
    private static let maxStreams: UInt32 = 1000

    init(_ key: Key, _ loop: ClientLoop) {
        self.key = key
        self.loop = loop
    }

    /// What the connection can carry now.
    var state: cre_http_client_carrier {
        var state = cre_http_client_carrier()
        if let raw = unsafe raw { unsafe cre_http_client_get_carrier(raw, &state, MemoryLayout.size(ofValue: state)) }
        return state
    }
    /// Whether a further WebSocket may be carried, or may wait for the connection to open.
    var isUseful: Bool { unsafe raw != nil && (!isOpen || state.room > 0) }

    func connect(_ tls: ClientTLSContext?, name: String?) throws(ClientError) {
        let clients = unsafe try loop.open()
        let memory = unsafe BorrowedText()
        defer { unsafe memory.release() }
        var options = unsafe cre_http_client_options()
        unsafe options.size = MemoryLayout<cre_http_client_options>.size
        unsafe options.host = memory.string(key.host)
        unsafe options.port = UInt64(key.port)
        unsafe options.tls = tls?.raw
        if let name { unsafe options.tls_name = memory.string(name) }
        unsafe options.http2 = key.http2.use(isSecure: tls != nil)
        unsafe options.timeout_ms = UInt32(key.timeout.milliseconds)
        unsafe options.idle_timeout_ms = 1
        unsafe options.max_streams = ClientCarrier.maxStreams
        unsafe options.context = Unmanaged.passUnretained(self).toOpaque()
        unsafe options.opened = { context, _ in unsafe ClientCarrier.from(context).opened() }
        unsafe options.head = { _, _, _ in }
        unsafe options.complete = { _, _, _ in }
        unsafe options.closed = { unsafe ClientCarrier.from($0).closed(ClientEnding($2!.pointee)) }
        let result = unsafe cre_http_client_connect(clients, &options, &raw)
        guard result == 0 else { throw ClientError("cannot connect to \(key.host):\(key.port)", result) }
        loop.add(self)
    }

    /// Calls `use` when the outcome is known.
    func whenOpen(_ use: @escaping (Outcome) -> Void) {
        if isOpen { use(.open(self)) } else { waiters.append(use) }
    }

    private static func from(_ context: UnsafeMutableRawPointer?) -> ClientCarrier {
        unsafe Unmanaged<ClientCarrier>.fromOpaque(context!).takeUnretainedValue()
    }

    private func opened() {
        isOpen = true
        if state.http2 {
            // Without room for the first one, the server accepts none, or is leaving.
            return finish(state.room > 0 ? .open(self) : .failed(ClientEnding(cause: CRE_EHTTP2_REFUSED.rawValue)))
        }
        // The connection could serve HTTP requests only.
        unsafe cre_http_client_abort(raw)
        unsafe raw = nil
        loop.remove(self)
        loop.removeCarrier(self, key)
        finish(.http1)
    }

    private func closed(_ ending: ClientEnding) {
        unsafe raw = nil
        loop.remove(self)
        loop.removeCarrier(self, key)
        finish(.failed(ending))
    }

    private func finish(_ outcome: Outcome) {
        let all = waiters
        waiters = []
        for use in all { use(outcome) }
    }

    func loopEnds() {
        unsafe raw = nil
        waiters = []
    }
}
