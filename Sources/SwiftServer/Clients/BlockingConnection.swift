internal import CReactor

/// A connection of the C core that its caller waits for: what ``Client`` and ``BlockingWebSocket`` share.
@safe final class BlockingConnection {
    /// A received message, packet or piece of a stream.
    struct Message {
        let opcode: UInt8
        let bytes: [UInt8]
    }

    private let loop: BlockingLoop
    private let clients: OpaquePointer
    private var client: OpaquePointer?
    private var message: Message?
    private var hasDrained = false
    private(set) var isOpen = false
    private(set) var subprotocol: String?
    private(set) var isCompressed = false
    private(set) var ending: ClientEnding?
    /// For errors: "localhost:9501".
    let name: String

    /// Connects and waits until the connection is open. `timeout` limits everything, with the lookup of a host name and
    /// the handshakes.
    init(_ options: ClientOptions, timeout: Duration) throws(ClientError) {
        name = options.name
        loop = try BlockingLoop()
        var clients: OpaquePointer?
        let result = unsafe cre_clients_create(loop.raw, &clients)
        guard result == 0, let clients = unsafe clients else { throw ClientError("cannot make a client", result) }
        unsafe self.clients = clients
        let action = "cannot connect to \(name)"
        unsafe client = try options.connect(
            clients, timeout: timeout, context: Unmanaged.passUnretained(self).toOpaque()
        ) {
            config in
            unsafe config.opened = { unsafe BlockingConnection.from($0).opened($2!) }
            unsafe config.received = { unsafe BlockingConnection.from($0).received($2!) }
            unsafe config.drained = { context, _ in unsafe BlockingConnection.from(context).drained() }
            unsafe config.closed = { unsafe BlockingConnection.from($0).closed($2!) }
        }
        let isDone = try loop.run(timeout: timeout) { isOpen || ending != nil }
        if isOpen { return }
        if let ending { throw ending.error(action) }
        precondition(!isDone)
        throw ClientError(.timedOut, "\(action): no connection within \(timeout)")
    }

    deinit { unsafe cre_clients_destroy(clients) }

    // MARK: Use

    /// The next message; `nil` when the connection was closed in order.
    func receive(timeout: Duration?) throws(ClientError) -> Message? {
        if message == nil, let client = unsafe client {
            unsafe cre_client_resume(client)
            guard try loop.run(timeout: timeout, until: { message != nil || ending != nil }) else {
                throw ClientError(.timedOut, "nothing was received from \(name) within \(timeout!)")
            }
        }
        if let message = message.take() { return message }
        if let ending, ending.cause != 0 { throw ending.error("cannot receive from \(name)") }
        return nil
    }

    /// Puts back what was not used of a message.
    func putBack(_ message: Message) { self.message = message }

    /// Calls `send` with the connection, and waits until everything has left.
    func send(timeout: Duration?, _ send: (OpaquePointer) -> Int32) throws(ClientError) {
        guard let client = unsafe client else {
            if let ending, ending.cause != 0 { throw ending.error("cannot send to \(name)") }
            throw ClientError(.closed, "cannot send to \(name): the connection is closed")
        }
        let result = unsafe send(client)
        if result != 0 {
            let error = ClientError("cannot send to \(name)", result)
            throw error.code == .protocolError || error.code == .invalidArgument
                ? ClientError(.invalidMessage, error.message) : error
        }
        hasDrained = false
        unsafe cre_client_await_drain(client)
        guard try loop.run(timeout: timeout, until: { hasDrained || ending != nil }) else {
            throw ClientError(.timedOut, "\(name) did not accept the data within \(timeout!)")
        }
        if let ending, ending.cause != 0 { throw ending.error("cannot send to \(name)") }
    }

    /// Closes the connection, and waits for the other side for a limited time.
    func close(code: UInt16, reason: String, timeout: Duration) {
        guard let client = unsafe client else { return }
        message = nil
        isOpen = false
        var reason = reason
        let result = reason.withUTF8 {
            unsafe $0.withMemoryRebound(to: CChar.self) {
                unsafe cre_client_close(client, code, $0.baseAddress, $0.count)
            }
        }
        if result == 0 { _ = try? loop.run(timeout: timeout) { ending != nil } }
        guard let rest = unsafe self.client else { return }
        unsafe cre_client_abort(rest)
        unsafe self.client = nil
    }

    // MARK: Events

    private static func from(_ context: UnsafeMutableRawPointer?) -> BlockingConnection {
        unsafe Unmanaged<BlockingConnection>.fromOpaque(context!).takeUnretainedValue()
    }

    private func opened(_ opening: UnsafePointer<cre_client_opening>) {
        isOpen = true
        unsafe (subprotocol, isCompressed) = (ClientOptions.subprotocol(opening), opening.pointee.compressed)
        unsafe cre_client_pause(client)
        loop.stop()
    }

    private func received(_ received: UnsafePointer<cre_client_message>) {
        if unsafe received.pointee.opcode == UInt8(CRE_WS_PONG.rawValue) { return }
        let bytes = unsafe UnsafeBufferPointer(start: received.pointee.data, count: received.pointee.length)
        unsafe message = Message(opcode: received.pointee.opcode, bytes: [UInt8](bytes))
        unsafe cre_client_pause(client)
        loop.stop()
    }

    private func drained() {
        hasDrained = true
        loop.stop()
    }

    private func closed(_ ending: UnsafePointer<cre_client_ending>) {
        unsafe client = nil
        isOpen = false
        self.ending = unsafe ClientEnding(ending.pointee)
        loop.stop()
    }
}
