internal import CReactor

/// A connection of the C core and the client that it belongs to. On the loop's thread.
@safe final class ClientLink: ClientLoopMember, @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread, `owner` apart, which is weak.
    private weak var owner: WebSocketClient?
    private unowned let loop: ClientLoop
    private var raw: OpaquePointer?

    init(_ owner: WebSocketClient, _ loop: ClientLoop) {
        self.owner = owner
        self.loop = loop
    }

    func connect(_ options: ClientOptions, _ clients: OpaquePointer, timeout: Duration) throws(ClientError) {
        // The loop holds the link as long as the C core refers to it.
        unsafe raw = try unsafe options.connect(
            clients, timeout: timeout, context: Unmanaged.passUnretained(self).toOpaque()
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
        guard let raw = unsafe raw.take() else { return }
        unsafe cre_client_abort(raw)
        loop.remove(self)
    }

    /// The loop ends, and the connection with it.
    func loopEnds() {
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
