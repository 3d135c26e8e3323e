internal import CReactor

/// The connections of an HTTP client, by origin. On the loop's thread.
@safe final class HTTPPool: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private final class Entry {
        /// Open and opening ones.
        var count = 0
        /// Those without a request; the last one was used last.
        var idle: [HTTPLink] = []
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
        let made = try ClientTLSContext(settings.tls)
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
        guard entry.count < settings.maxConnectionsPerOrigin else { return false }
        entry.count += 1
        entries[hop.origin] = entry
        let link = HTTPLink(self, hop.origin)
        do {
            try link.connect(hop, exchange)
        } catch {
            entry.count -= 1
            throw error
        }
        exchange.begin(link)
        return true
    }

    // MARK: Events

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
        if let index = entry.idle.firstIndex(where: { $0 === link }) {
            entry.idle.remove(at: index)
            idleCount -= 1
        }
        entry.waiters.wakeFirst()
        if entry.count == 0, entry.waiting == 0 { entries[link.origin] = nil }
    }

    /// Closes the connections that serve no request.
    func closeIdle() {
        for link in entries.values.flatMap(\.idle) { link.abort() }
    }

    /// The numbers of all connections, and of those without a request.
    var counts: (all: Int, idle: Int) { (entries.values.reduce(0) { $0 + $1.count }, idleCount) }
}
