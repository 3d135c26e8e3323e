internal import CReactor

/// A connection of an HTTP client in the C core, or a request that a connection with HTTP/2 carries. On the loop's
/// thread.
@safe final class HTTPLink: ClientLoopMember, @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private let pool: HTTPPool
    let origin: HTTPOrigin
    private var raw: OpaquePointer?
    private var exchange: HTTPExchange?
    private var hop: HTTPHop?
    private var isOpen = false
    private var hasReceived = false
    /// The requests that were sent, or carried.
    private(set) var requests = 0
    /// The connection that carries this request; `nil`: this is a connection.
    let carrier: HTTPLink?
    /// The number of requests that this connection carries.
    private var carried = 0
    /// Whether the pool counts it among the connections without a request.
    var isIdle = false
    /// Whether the protocol of the connection is not known yet.
    private(set) var isOpening = true
    /// The part of a body that is not passed to the C core yet.
    private var body: ArraySlice<UInt8> = []
    /// Tasks that wait until the queue of the connection has room.
    private let queue = WaitQueue()
    /// The request whose body is deferred until the server answers with "100 Continue".
    private var deferred: HTTPHop?
    private var continueTimer: TimerID?

    /// Bodies are passed on in pieces of this size.
    static let piece = 64 << 10

    init(_ pool: HTTPPool, _ origin: HTTPOrigin, over carrier: HTTPLink? = nil) {
        self.pool = pool
        self.origin = origin
        self.carrier = carrier
    }

    // MARK: Connecting

    func connect(_ hop: HTTPHop, _ exchange: HTTPExchange) throws(ClientError) {
        let settings = pool.settings
        let clients = unsafe try pool.loop.open()
        let tls = origin.isSecure ? try pool.tls() : nil
        let proxyTLS = origin.isProxySecure ? try pool.proxyTLS() : nil
        let proxyName = settings.proxy?.tls?.serverName ?? origin.host
        let memory = unsafe BorrowedText()
        defer { unsafe memory.release() }
        var options = unsafe cre_http_client_options()
        unsafe options.size = MemoryLayout<cre_http_client_options>.size
        unsafe options.host = memory.string(origin.path.map { "unix:" + $0 } ?? origin.host)
        unsafe options.port = UInt64(origin.path == nil ? origin.port : 0)
        if let tunnel = origin.tunnel {
            unsafe options.tunnel = memory.string(tunnel)
            unsafe options.tunnel_tls = proxyTLS?.raw
            unsafe options.tunnel_tls_name = memory.string(proxyName)
        }
        if let tls {
            unsafe options.tls = tls.raw
            unsafe options.tls_name = memory.string(settings.tls.serverName ?? hop.serverName)
        } else if let proxyTLS {
            unsafe options.tls = proxyTLS.raw
            unsafe options.tls_name = memory.string(proxyName)
        }
        unsafe options.timeout_ms = UInt32(settings.connectTimeout.milliseconds)
        unsafe options.read_timeout_ms = UInt32(settings.readTimeout?.milliseconds ?? 0)
        unsafe options.idle_timeout_ms = UInt32(settings.idleTimeout.milliseconds)
        unsafe options.max_queue = UInt32(settings.maxQueue)
        unsafe options.limits.max_head = UInt32(settings.maxHead)
        unsafe options.limits.max_line = UInt32(min(settings.maxHead, 8192))
        unsafe options.carrier = carrier?.raw
        unsafe options.http2 = pool.uses(origin)
        unsafe options.stream_window = UInt32(min(max(settings.maxBuffer, 65_535), 16 << 20))
        unsafe options.max_streams = UInt32(settings.maxStreams)
        unsafe options.changed = { context, _ in
            let link = unsafe HTTPLink.from(context)
            link.pool.changed(link)
        }
        unsafe options.context = Unmanaged.passUnretained(self).toOpaque()
        unsafe options.opened = { context, _ in unsafe HTTPLink.from(context).opened() }
        unsafe options.head = { unsafe HTTPLink.from($0).received($2!) }
        unsafe options.body = { context, _, data, length in
            unsafe HTTPLink.from(context).received(UnsafeBufferPointer(start: data, count: length))
        }
        unsafe options.trailers = {
            unsafe HTTPLink.from($0).exchange?.received(trailers: HTTPClient.Fields($2!.pointee))
        }
        unsafe options.complete = { context, _, isReusable in unsafe HTTPLink.from(context).completed(isReusable) }
        unsafe options.drained = { context, _ in unsafe HTTPLink.from(context).drained() }
        unsafe options.closed = { unsafe HTTPLink.from($0).closed(ClientEnding($2!.pointee)) }
        var fields: [cre_http_header] = unsafe []
        if hop.usesTunnel, let authorization = hop.proxyAuthorization {
            unsafe fields.append(memory.field("Proxy-Authorization", authorization))
        }
        let result = unsafe fields.withUnsafeBufferPointer { fields in
            unsafe options.tunnel_fields = fields.baseAddress
            unsafe options.tunnel_field_count = fields.count
            return unsafe cre_http_client_connect(clients, &options, &raw)
        }
        guard result == 0 else { throw ClientError("cannot connect to \(origin.name)", result) }
        (self.hop, self.exchange) = (hop, exchange)
        pool.loop.add(self)
        carrier?.carries(1)
    }

    // MARK: Carrying

    /// What the connection can carry.
    private var state: cre_http_client_carrier {
        var state = cre_http_client_carrier()
        if let raw = unsafe raw { unsafe cre_http_client_get_carrier(raw, &state, MemoryLayout.size(ofValue: state)) }
        return state
    }
    /// The number of requests that may be sent on this connection now; 0: it is not one with HTTP/2.
    var room: Int { Int(state.room) }
    /// Whether the connection takes no more requests, and ends.
    var isLeaving: Bool { state.leaving }

    private func carries(_ change: Int) {
        carried += change
        if change > 0 { requests += 1 }
        pool.carries(self, isIdle: carried == 0)
    }

    /// Sends a request on an open connection. False: the connection is ending, and nothing was sent.
    func start(_ hop: HTTPHop, _ exchange: HTTPExchange) throws(ClientError) -> Bool {
        guard let raw = unsafe raw else { return false }
        body = if case .bytes(let bytes) = hop.body.content { bytes[...] } else { [] }
        let first = hop.expectsContinue ? [] : body.prefix(HTTPLink.piece)
        let result = unsafe HTTPRequestHead(hop).send(raw, first)
        if result == CRE_ESTATE.rawValue { return false }
        guard result == 0 else {
            throw ClientError(
                result == CRE_ENOMEM.rawValue ? .system : .invalidArgument,
                "cannot send the request to \(hop.url.text): \(errorText(result))")
        }
        (self.exchange, hasReceived) = (exchange, false)
        requests += 1
        body = body.dropFirst(first.count)
        if hop.expectsContinue {
            deferred = hop
            let timeout = pool.settings.continueTimeout
            continueTimer = pool.loop.timers.start(after: timeout, every: nil) { [unowned self] _ in
                continueTimer = nil
                sendDeferred()
            }
        } else {
            sendBody(hop, exchange)
        }
        return true
    }

    /// Whether the connection serves this request, whose response is not complete.
    func serves(_ exchange: HTTPExchange) -> Bool { self.exchange === exchange }

    // MARK: Sending bodies

    /// Sends the deferred body: the server has asked for it, or `continueTimeout` has passed.
    private func sendDeferred() {
        stopWaiting()
        guard let hop = deferred.take(), let exchange else { return }
        sendBody(hop, exchange)
    }

    private func stopWaiting() {
        if let timer = continueTimer.take() { pool.loop.timers.clear(timer) }
    }

    private func sendBody(_ hop: HTTPHop, _ exchange: HTTPExchange) {
        exchange.hasBegunBody = true
        if !body.isEmpty { sendMore() }
        guard case .stream(_, let produce) = hop.body.content else { return }
        let connections = exchange.connections
        exchange.started(
            Task(executorPreference: pool.loop.loop.executor) {
                await connections.upload(produce, trailers: hop.trailers, self, exchange)
            })
    }

    private func sendMore() {
        while let raw = unsafe raw, !body.isEmpty {
            let piece = body.prefix(HTTPLink.piece)
            let result = unsafe piece.withUnsafeBytes { unsafe cre_http_client_write(raw, $0.baseAddress, $0.count) }
            switch result {
            case 0: body = body.dropFirst(piece.count)
            case CRE_EQUEUE_FULL.rawValue: return unsafe cre_http_client_await_drain(raw)
            default: return  // the connection is ending
            }
        }
        if let raw = unsafe raw { unsafe _ = cre_http_client_end(raw) }
    }

    /// The response is complete, so that the rest of the body is not sent.
    struct Stopped: Error {}

    /// Returns false when the queue is full.
    func write(_ piece: ArraySlice<UInt8>, of exchange: HTTPExchange) throws -> Bool {
        guard let raw = unsafe raw, self.exchange === exchange else { throw Stopped() }
        let result = unsafe piece.withUnsafeBytes { unsafe cre_http_client_write(raw, $0.baseAddress, $0.count) }
        switch result {
        case 0: return true
        case CRE_EQUEUE_FULL.rawValue:
            unsafe cre_http_client_await_drain(raw)
            return false
        case CRE_EINVALID.rawValue:
            throw ClientError.argument("the body must have the length that was given, got more")
        case CRE_ESTATE.rawValue: throw Stopped()
        default: throw ClientError("cannot send the body to \(origin.name)", result)
        }
    }

    func awaitRoom() async throws {
        if await queue.wait(nil, pool.loop.timers) == .cancelled { throw Stopped() }
    }

    func finishBody(of exchange: HTTPExchange, trailers: HTTPClient.Fields?) throws {
        guard let raw = unsafe raw, self.exchange === exchange else { return }
        let result = unsafe trailers.map { unsafe end(raw, $0) } ?? cre_http_client_end(raw)
        if trailers != nil, result != 0, result != CRE_ESTATE.rawValue {
            throw ClientError.argument("cannot send the trailers: \(errorText(result))")
        }
        if result == CRE_EINVALID.rawValue {
            throw ClientError.argument("the body must have the length that was given, got less")
        }
    }

    private func end(_ raw: OpaquePointer, _ trailers: HTTPClient.Fields) -> Int32 {
        let memory = unsafe BorrowedText()
        defer { unsafe memory.release() }
        let fields = unsafe trailers.map { unsafe memory.field($0.name, $0.value) }
        return unsafe fields.withUnsafeBufferPointer { unsafe cre_http_client_end_with(raw, $0.baseAddress, $0.count) }
    }

    private func drained() {
        if body.isEmpty { queue.wakeAll() } else { sendMore() }
    }

    // MARK: Receiving

    private static func from(_ context: UnsafeMutableRawPointer?) -> HTTPLink {
        unsafe Unmanaged<HTTPLink>.fromOpaque(context!).takeUnretainedValue()
    }

    private func opened() {
        isOpen = true
        isOpening = false
        let hop = hop.take()
        let exchange = exchange.take()
        if carrier == nil, state.http2 { return pool.opened(self, hop, exchange) }
        if carrier == nil { pool.openedHTTP1(self) }
        guard let hop, let exchange else { return pool.released(self) }
        do {
            guard try !start(hop, exchange) else { return }
            exchange.failed(ClientError(.closed, "the connection to \(origin.name) is closed"))
        } catch {
            exchange.failed(error)
            if carrier == nil { pool.released(self) } else { abort() }
        }
    }

    private func received(_ head: UnsafePointer<cre_http_client_head>) {
        hasReceived = true
        let status = unsafe head.pointee.head.pointee.status
        if status == 100 { return sendDeferred() }
        guard status >= 200 else { return }
        // A server that has refused the request does not read the body. Another one may wait for it.
        if status >= 300 { stopWaiting() }
        exchange?.received(unsafe HTTPResponseHead(head))
    }

    private func received(_ bytes: UnsafeBufferPointer<UInt8>) { exchange?.received(unsafe [UInt8](bytes)) }

    private func completed(_ isReusable: Bool) {
        let exchange = exchange.take()
        stopWaiting()
        deferred = nil
        body = []
        queue.wakeAll()
        if isReusable { pool.released(self) }
        exchange?.completed()
    }

    func pause(_ isPaused: Bool) {
        guard let raw = unsafe raw else { return }
        if isPaused { unsafe cre_http_client_pause(raw) } else { unsafe cre_http_client_resume(raw) }
    }

    // MARK: The end

    private func closed(_ ending: ClientEnding) {
        // A server may close an idle connection in the moment in which a request is sent.
        let isStale =
            (carrier?.requests ?? requests) > 1 && !hasReceived && isOpen && ending.cause != CRE_EHTTP2_RESET.rawValue
        let error = failure(ending)
        let exchange = ended()
        pool.loop.remove(self)
        if ending.cause == CRE_EHTTP2_REFUSED.rawValue && !hasReceived {
            exchange?.failed(HTTPRefusedRequest(error: error))
        } else {
            exchange?.failed(isStale && error.code == .closed ? HTTPStaleConnection(error: error) : error)
        }
    }

    private func failure(_ ending: ClientEnding) -> ClientError {
        if ending.cause == CRE_EPROXY.rawValue, let status = ending.status {
            return ClientError(
                .proxy, "cannot connect to \(origin.name): the proxy answered with status \(status)", status: status)
        }
        let action = isOpen ? "the request to \(origin.name) failed" : "cannot connect to \(origin.name)"
        if ending.cause == 0 { return ClientError(.closed, "\(action): the connection was closed") }
        return ending.error(action)
    }

    /// Ends the connection without a further event.
    func abort() {
        guard let raw = unsafe raw else { return }
        _ = ended()
        unsafe cre_http_client_abort(raw)
        pool.loop.remove(self)
    }

    func loopEnds() {
        let exchange = ended()
        exchange?.failed(ClientLoop.ended)
    }

    /// Takes the connection off the pool, and returns the exchange that it served.
    private func ended() -> HTTPExchange? {
        unsafe raw = nil
        stopWaiting()
        deferred = nil
        body = []
        hop = nil
        queue.wakeAll()
        if let carrier {
            carrier.carries(-1)
            pool.changed(carrier)
        } else {
            pool.removed(self)
        }
        return exchange.take()
    }
}

/// The server has not processed a request, which may be sent again, whatever it is.
struct HTTPRefusedRequest: Error {
    let error: ClientError
}

/// The server closed a connection that was kept for further requests, before it answered.
struct HTTPStaleConnection: Error {
    let error: ClientError
}
