internal import CReactor

/// The connections of an HTTP client, by origin. On the loop's thread.
@safe final class HTTPPool: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private final class Entry {
        /// Open and opening ones.
        var count = 0
        /// Those of HTTP/1.1 without a request; the last one was used last.
        var idle: [HTTPLink] = []
        /// Those with HTTP/2 that may carry requests.
        var carriers: [HTTPLink] = []
        /// Those whose protocol is not known yet.
        var opening = 0
        /// Whether the server has chosen HTTP/1.1.
        var isHTTP1 = false
        let waiters = WaitQueue()
        var waiting = 0
    }

    let loop: ClientLoop
    let settings: HTTPClientSettings
    private var entries: [HTTPOrigin: Entry] = [:]
    private var idleCount = 0
    private var context: ClientTLSContext?
    private var proxyContext: ClientTLSContext?

    init(_ loop: ClientLoop, _ settings: HTTPClientSettings) {
        self.loop = loop
        self.settings = settings
    }

    func tls() throws(ClientError) -> ClientTLSContext {
        if let context { return context }
        let made = try ClientTLSContext(settings.tls, protocols: settings.http2.protocols)
        context = made
        return made
    }

    /// For the proxy itself.
    func proxyTLS() throws(ClientError) -> ClientTLSContext {
        if let proxyContext { return proxyContext }
        let made = try ClientTLSContext(settings.proxy?.tls ?? ClientTLS())
        proxyContext = made
        return made
    }

    /// Whether connections to an origin use HTTP/2, for the C core. A proxy that gets whole URLs does not.
    func uses(_ origin: HTTPOrigin) -> UInt32 {
        origin.isPlainProxy
            ? UInt32(CRE_HTTP_CLIENT_HTTP1.rawValue) : settings.http2.use(isSecure: origin.isSecure)
    }

    // MARK: Assigning

    /// Sends a request on a free connection, or on a new one. Waits while there are too many.
    func assign(_ hop: HTTPHop, _ exchange: HTTPExchange, isFresh: Bool) async throws {
        let origin = hop.origin
        let entry = entries[origin] ?? Entry()
        entries[origin] = entry
        var hasTurn = entry.waiters.isEmpty
        while true {
            if case .failed(let error) = exchange.end {
                entry.waiters.wakeFirst()
                throw error
            }
            if hasTurn {
                do {
                    if try take(entry, hop, exchange, isFresh: isFresh) { return }
                } catch {
                    entry.waiters.wakeFirst()
                    throw error
                }
            }
            guard entry.waiting < settings.maxWaiting else {
                throw ClientError(
                    .busy, "\(entry.waiting) requests wait for a connection to \(origin.name) (maxWaiting)")
            }
            entry.waiting += 1
            defer { entry.waiting -= 1 }
            let remaining = exchange.remaining ?? settings.connectTimeout
            switch await entry.waiters.wait(min(remaining, settings.connectTimeout), loop.timers) {
            case .event: hasTurn = true
            case .cancelled: throw CancellationError()
            case .timedOut where remaining < settings.connectTimeout: throw exchange.timeoutError
            case .timedOut:
                throw ClientError(
                    .timedOut, "no connection to \(origin.name) was free within \(settings.connectTimeout)")
            }
        }
    }

    /// False: there is no connection, and there must be no more.
    private func take(
        _ entry: Entry, _ hop: HTTPHop, _ exchange: HTTPExchange, isFresh: Bool
    ) throws(ClientError) -> Bool {
        if isFresh, entry.count >= settings.maxConnectionsPerOrigin { entry.idle.first?.abort() }
        while !isFresh, let link = entry.idle.popLast() {
            idleCount -= 1
            do {
                guard try link.start(hop, exchange) else { continue }  // its end is being reported
            } catch {
                entry.idle.append(link)
                idleCount += 1
                throw error
            }
            exchange.begin(link)
            return true
        }
        let mayConnect = entry.count < settings.maxConnectionsPerOrigin
        if let carrier = entry.carriers.first(where: { $0.room > 0 && !(isFresh && mayConnect && $0.requests > 0) }) {
            try carry(hop, exchange, over: carrier)
            return true
        }
        // A connection that is being opened may carry all requests that wait.
        let mayCarry = uses(hop.origin) != UInt32(CRE_HTTP_CLIENT_HTTP1.rawValue) && !entry.isHTTP1
        guard mayConnect, !(mayCarry && entry.opening > 0) else { return false }
        entry.count += 1
        entry.opening += 1
        entries[hop.origin] = entry
        let link = HTTPLink(self, hop.origin)
        do {
            try link.connect(hop, exchange)
        } catch {
            entry.count -= 1
            entry.opening -= 1
            throw error
        }
        exchange.begin(link)
        return true
    }

    private func carry(_ hop: HTTPHop, _ exchange: HTTPExchange, over carrier: HTTPLink) throws(ClientError) {
        let link = HTTPLink(self, hop.origin, over: carrier)
        try link.connect(hop, exchange)
        exchange.begin(link)
    }

    // MARK: Events

    /// A connection with HTTP/2 is open, and `hop` is the request that it was opened for.
    func opened(_ link: HTTPLink, _ hop: HTTPHop?, _ exchange: HTTPExchange?) {
        guard let entry = entries[link.origin] else { return link.abort() }
        entry.opening -= 1
        entry.isHTTP1 = false
        entry.carriers.append(link)
        if let hop, let exchange {
            do {
                guard link.room > 0 else { throw ClientError(.busy, "\(link.origin.name) accepts no requests") }
                try carry(hop, exchange, over: link)
            } catch {
                exchange.failed(error)
            }
        }
        if hop == nil { carries(link, isIdle: true) }
        changed(link)
    }

    /// A connection of HTTP/1.1 is open: further requests need connections of their own.
    func openedHTTP1(_ link: HTTPLink) {
        guard let entry = entries[link.origin] else { return }
        entry.opening -= 1
        if entry.isHTTP1 { return }
        entry.isHTTP1 = true
        for _ in 0..<min(entry.waiting, settings.maxConnectionsPerOrigin) { entry.waiters.wakeFirst() }
    }

    /// A connection with HTTP/2 may carry another number of requests.
    func changed(_ link: HTTPLink) {
        guard let entry = entries[link.origin] else { return }
        if link.isLeaving { entry.carriers.removeAll { $0 === link } }
        // One more may open another connection.
        let wakeups = min(link.room + 1, entry.waiting)
        for _ in 0..<wakeups { entry.waiters.wakeFirst() }
    }

    /// A connection with HTTP/2 carries no request any more, or some again.
    func carries(_ link: HTTPLink, isIdle: Bool) {
        guard isIdle != link.isIdle else { return }
        if isIdle, idleCount >= settings.maxIdleConnections { return link.abort() }
        link.isIdle = isIdle
        idleCount += isIdle ? 1 : -1
    }

    /// A connection can serve another request.
    func released(_ link: HTTPLink) {
        guard let entry = entries[link.origin] else { return link.abort() }
        guard idleCount < settings.maxIdleConnections || !entry.waiters.isEmpty else { return link.abort() }
        entry.idle.append(link)
        idleCount += 1
        entry.waiters.wakeFirst()
    }

    /// A connection has ended.
    func removed(_ link: HTTPLink) {
        guard let entry = entries[link.origin] else { return }
        entry.count -= 1
        if link.isOpening { entry.opening -= 1 }
        if link.isIdle { idleCount -= 1 }
        link.isIdle = false
        entry.carriers.removeAll { $0 === link }
        if let index = entry.idle.firstIndex(where: { $0 === link }) {
            entry.idle.remove(at: index)
            idleCount -= 1
        }
        entry.waiters.wakeFirst()
        if entry.count == 0, entry.waiting == 0 { entries[link.origin] = nil }
    }

    /// Closes the connections that serve no request.
    func closeIdle() {
        for link in entries.values.flatMap({ $0.idle + $0.carriers.filter(\.isIdle) }) { link.abort() }
    }

    /// The numbers of all connections, and of those without a request.
    var counts: (all: Int, idle: Int) { (entries.values.reduce(0) { $0 + $1.count }, idleCount) }
}
