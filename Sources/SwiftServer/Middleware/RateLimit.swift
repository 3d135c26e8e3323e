internal import Glibc

/// Limits how many requests a client, or whatever a key names, may send. The limit counts for all workers together.
///
/// ```swift
/// server.use(try RateLimit(requests: 100, per: .seconds(60)))                        // per address
/// server.group("/api", use: [
///     BearerAuthentication(realm: "api", tokens: verifier),
///     try RateLimit("user", requests: 1000, per: .seconds(3600), burst: 50) { $0[JWT.self]?.subject },
/// ]) { api in ... }
/// ```
///
/// A request beyond the limit is answered with status 429 and `Retry-After`; neither further middleware nor the handler
/// is called. Handshakes of WebSockets count, too. Responses have the fields `RateLimit-Policy` and `RateLimit`
/// (draft-ietf-httpapi-ratelimit-headers-10).
///
/// The limit is a token bucket: `burst` requests may come at once, and it is filled again at the rate of `requests` per
/// `period`. Make it before ``Server/start()``: its state is in memory of a fixed size that all workers share, survives
/// their replacement and has no lock. When there are more active clients than `slots` can hold, the one that has used
/// the least of its limit is forgotten, which gives it all of its limit back. Nobody is refused because others are
/// many.
///
/// A client is known by its ``Request/clientAddress``, so behind a proxy set ``Settings/trustedProxies``. An IPv6
/// address counts with all others of its network of 64 bits, which usually belong to one subscriber. Requests without
/// an address, as of Unix sockets, are not limited.
public struct RateLimit: Middleware {
    /// The name of the limit in the fields of responses and in the log.
    public let name: String
    /// Whether responses have the fields `RateLimit-Policy` and `RateLimit`. Default: true.
    public var sendsFields = true

    private let key: @MainActor (Request) -> RateLimitKey?
    private let policy: String
    private let limit: SharedRates.Limit
    private let rates: SharedRates
    private let refusals = RateLimitLog()

    /// A limit per address.
    ///
    /// - Parameters:
    ///   - name: the name in the fields of responses and in the log.
    ///   - requests: the number of requests in each period, 1 to 1,000,000.
    ///   - period: the time in which they may come, up to a day.
    ///   - burst: the number of requests that may come at once; `nil`: `requests`. The bucket must be full again within
    ///     a day.
    ///   - slots: the number of clients whose use is kept, 8 to 67,108,864. Each takes 8 bytes.
    /// - Throws: ``ServerError`` for a value out of its range; ``SharedMemoryError`` when there is no memory.
    public init(
        _ name: String = "default", requests: Int, per period: Duration, burst: Int? = nil, slots: Int = 65536
    ) throws {
        try self.init(name, requests, period, burst, slots) { RateLimitKey(address: $0.clientAddress ?? "") }
    }

    /// A limit per key.
    ///
    /// - Parameters:
    ///   - name: the name in the fields of responses and in the log.
    ///   - requests: the number of requests in each period, 1 to 1,000,000.
    ///   - period: the time in which they may come, up to a day.
    ///   - burst: the number of requests that may come at once; `nil`: `requests`. The bucket must be full again within
    ///     a day.
    ///   - slots: the number of keys whose use is kept, 8 to 67,108,864. Each takes 8 bytes.
    ///   - key: returns the key of a request, such as the name of its user; `nil`: it is not limited. Do not take what
    ///     a client can choose freely: it would send another one with each request.
    /// - Throws: ``ServerError`` for a value out of its range; ``SharedMemoryError`` when there is no memory.
    public init(
        _ name: String, requests: Int, per period: Duration, burst: Int? = nil, slots: Int = 65536,
        key: @escaping @MainActor (Request) -> String?
    ) throws {
        try self.init(name, requests, period, burst, slots) { key($0).map(RateLimitKey.init(text:)) }
    }

    private init(
        _ name: String, _ requests: Int, _ period: Duration, _ burst: Int?, _ slots: Int,
        _ key: @escaping @MainActor (Request) -> RateLimitKey?
    ) throws {
        self.name = name
        self.key = key
        limit = try SharedRates.Limit(requests: requests, per: period, burst: burst)
        policy = RateLimit.policy(name, requests, period)
        rates = try SharedRates(slots: slots)
    }

    /// The number of requests that were refused, in all workers.
    public var refusedCount: Int { rates.counts.refused }

    /// The number of clients or keys that were forgotten for others while they had used some of their limits. If it
    /// grows, `slots` is too small for the clients that are active at a time.
    public var evictedCount: Int { rates.counts.evicted }

    /// Calls the handler, or refuses the request.
    public func handle(_ request: Request, _ response: Response, next: Next) async throws {
        guard let key = key(request) else { return try await next(request, response) }
        let state = rates.take(key.bytes, limit, at: RateLimit.now)
        if sendsFields {
            response.header("RateLimit-Policy", policy)
            response.header("RateLimit", "\(Authorization.quoted(name));r=\(state.remaining);t=\(state.full)")
        }
        guard !state.passes else { return try await next(request, response) }
        refusals.add(name, request, at: RateLimit.now)
        guard !response.isBegun else { return }
        response.status(429)
        response.header("Retry-After", "\(state.retry)")
        response.end("too many requests\n")
    }

    /// `w` is in whole seconds, and optional.
    static func policy(_ name: String, _ requests: Int, _ period: Duration) -> String {
        let (seconds, rest) = period.components
        return "\(Authorization.quoted(name));q=\(requests)" + (rest == 0 ? ";w=\(seconds)" : "")
    }

    /// Microseconds of a clock that all processes share.
    private static var now: UInt64 {
        var time = timespec()
        unsafe clock_gettime(CLOCK_MONOTONIC, &time)
        return UInt64(time.tv_sec) * 1_000_000 + UInt64(time.tv_nsec) / 1000
    }
}

/// The bytes by which a limit knows a client.
struct RateLimitKey: Equatable {
    let bytes: [UInt8]

    init(text: String) { bytes = Array(text.utf8) }

    /// `nil` for a text that is no address.
    init?(address: String) {
        guard let all = AddressBlock.bytes(of: address) else { return nil }
        bytes = all.count == 4 ? all : Array(all.prefix(8))
    }
}

/// The log of refusals: at most one line in ten seconds for each limit and worker.
final class RateLimitLog: Sendable {
    private let state = Lock<(last: UInt64?, count: Int)>((nil, 0))

    /// The number of refusals since the last line, when it is time for one.
    func count(at now: UInt64) -> Int? {
        state.withLock { state in
            state.count += 1
            if let last = state.last, now < last + 10_000_000 { return nil }
            defer { state = (now, 0) }
            return state.count
        }
    }

    func add(_ name: String, _ request: Request, at now: UInt64) {
        guard let count = count(at: now) else { return }
        Log.warning(
            "the rate limit \"\(name)\" has refused \(count) request\(count == 1 ? "" : "s") of this worker since the last "
                + "such line, the last one from \(request.clientAddress ?? "an unknown address")")
    }
}
