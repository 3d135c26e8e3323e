internal import CReactor
internal import Glibc

/// A connection of the C core and the client that it belongs to. On the loop's thread.
@safe final class ClientLink: ClientLoopMember, @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread, `owner` apart, which is weak.
    private weak var owner: WebSocketClient?
    private unowned let loop: ClientLoop
    private var raw: OpaquePointer?
    private var options = ClientOptions(host: "", port: 0)
    private var deadline = ContinuousClock.now
    /// Whether the owner does not want it any more.
    private var isEnded = false

    init(_ owner: WebSocketClient, _ loop: ClientLoop) {
        self.owner = owner
        self.loop = loop
    }

    func connect(_ options: ClientOptions, timeout: Duration) throws(ClientError) {
        self.options = options
        deadline = .now + timeout
        guard let key = options.carrierKey(timeout: timeout) else { return try connect(over: nil) }
        try options.check(timeout: timeout)
        try connectOverHTTP2(key)
    }

    /// Connects over a shared connection.
    private func connectOverHTTP2(_ key: ClientCarrier.Key) throws(ClientError) {
        let carrier = try loop.carrier(key, options.carrierTLS, name: options.tlsName)
        carrier.whenOpen { [weak self] outcome in self?.carrierOpened(outcome, key) }
    }

    private func carrierOpened(_ outcome: ClientCarrier.Outcome, _ key: ClientCarrier.Key) {
        if isEnded { return }
        do throws(ClientError) {
            switch outcome {
            case .open(let carrier) where !carrier.state.websockets && key.http2 == .negotiated:
                try connect(over: nil)
            case .open(let carrier) where carrier.isUseful: try connect(over: carrier)
            // Others have taken all of its room.
            case .open where .now < deadline: try connectOverHTTP2(key)
            case .open: failed(ClientEnding(cause: -ETIMEDOUT))
            case .http1: try connect(over: nil)
            case .failed(let ending): failed(ending)
            }
        } catch {
            failed(ClientEnding(cause: error.cause))
        }
    }

    private func failed(_ ending: ClientEnding) {
        loop.remove(self)
        owner?.assumeIsolated { $0.ended(ending) }
    }

    /// `carrier`: the connection that carries the WebSocket; `nil`: it gets one of its own.
    private func connect(over carrier: ClientCarrier?) throws(ClientError) {
        let remaining = max(.milliseconds(1), deadline - .now)
        // The loop holds the link as long as the C core refers to it.
        unsafe raw = try unsafe options.connect(
            loop.open(), timeout: remaining, context: Unmanaged.passUnretained(self).toOpaque(), over: carrier?.raw
        ) { config in
            unsafe config.opened = { unsafe ClientLink.from($0).opened($2!) }
            unsafe config.received = { unsafe ClientLink.from($0).received($2!) }
            unsafe config.drained = { context, _ in unsafe ClientLink.from(context).drained() }
            unsafe config.failing = { context, _ in unsafe ClientLink.from(context).failing() }
            unsafe config.closed = { unsafe ClientLink.from($0).closed(ClientEnding($2!.pointee)) }
        }
    }

    // MARK: Use

    /// Returns a result of `cre_client_push`.
    func push(_ bytes: [UInt8], _ first: UInt8) -> Int32 {
        guard let raw = unsafe raw else { return CRE_ESTATE.rawValue }
        return unsafe bytes.withUnsafeBytes { unsafe cre_client_push(raw, first, $0.baseAddress, $0.count) }
    }

    func awaitDrain() {
        if let raw = unsafe raw { unsafe cre_client_await_drain(raw) }
    }

    func pause(_ isPaused: Bool) {
        guard let raw = unsafe raw else { return }
        if isPaused { unsafe cre_client_pause(raw) } else { unsafe cre_client_resume(raw) }
    }

    func close(code: UInt16, reason: String) {
        guard let raw = unsafe raw else { return }
        var reason = reason
        reason.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) {
                unsafe _ = cre_client_close(raw, code, $0.baseAddress, $0.count)
            }
        }
    }

    /// Ends the connection after ``failing()``.
    func conclude() {
        if let raw = unsafe raw { unsafe cre_client_conclude(raw) }
    }

    /// Ends the connection without a further event.
    func abort() {
        isEnded = true
        loop.remove(self)
        if let raw = unsafe raw.take() { unsafe cre_client_abort(raw) }
    }

    /// The loop ends, and the connection with it.
    func loopEnds() {
        isEnded = true
        unsafe raw = nil
        owner?.assumeIsolated { $0.loopEnded() }
    }

    // MARK: Events

    private static func from(_ context: UnsafeMutableRawPointer?) -> ClientLink {
        unsafe Unmanaged<ClientLink>.fromOpaque(context!).takeUnretainedValue()
    }

    private func opened(_ opening: UnsafePointer<cre_client_opening>) {
        let (subprotocol, isCompressed) = unsafe (ClientOptions.subprotocol(opening), opening.pointee.compressed)
        owner?.assumeIsolated { $0.opened(subprotocol, isCompressed) }
    }

    private func received(_ message: UnsafePointer<cre_client_message>) {
        let bytes = unsafe UnsafeBufferPointer(start: message.pointee.data, count: message.pointee.length)
        if unsafe message.pointee.opcode == UInt8(CRE_WS_PONG.rawValue) {
            let payload = unsafe [UInt8](bytes)
            owner?.assumeIsolated { $0.receivedPong(payload) }
            return
        }
        let frame = unsafe Frame(
            fd: ConnectionID(rawValue: 0), opcode: Opcode(rawValue: message.pointee.opcode), bytes: [UInt8](bytes))
        owner?.assumeIsolated { $0.received(frame) }
    }

    private func drained() {
        owner?.assumeIsolated { $0.drained() }
    }

    /// An invalid frame was received; the connection waits for answers to what came before.
    private func failing() {
        owner?.assumeIsolated { $0.failing() }
    }

    private func closed(_ ending: ClientEnding) {
        unsafe raw = nil
        loop.remove(self)
        owner?.assumeIsolated { $0.ended(ending) }
    }
}
