internal import CReactor

/// The use of limits by keys, in shared memory.
@safe final class SharedRates: Sendable {
    /// A limit as the C core has it, in microseconds.
    struct Limit: Sendable, Equatable {
        let interval: UInt64
        let window: UInt64

        /// - Throws: an error that names the value that is out of its range.
        init(requests: Int, per period: Duration, burst: Int?) throws(ServerError) {
            guard (1...1_000_000).contains(requests) else {
                throw .setting("requests of a RateLimit must be 1 to 1000000, got \(requests)")
            }
            guard period > .zero, period <= .seconds(86400) else {
                throw .setting("per of a RateLimit must be more than 0 and at most a day, got \(period)")
            }
            let interval = UInt64(period.nanoseconds / 1000) / UInt64(requests)
            guard interval >= 1 else {
                throw .setting("a RateLimit must have at most 1 request per microsecond, got \(requests) per \(period)")
            }
            let burst = burst ?? requests
            let most = UInt64(CRE_SHARED_RATE_WINDOW_MAX) / interval
            guard burst >= 1, UInt64(burst) <= most else {
                throw .setting("burst of this RateLimit must be 1 to \(most), got \(burst)")
            }
            self.interval = interval
            window = interval * UInt64(burst)
        }
    }

    /// The state of a key after a request, with times in seconds, rounded up.
    struct State: Equatable {
        let passes: Bool
        let remaining: UInt64
        let full: UInt64
        let retry: UInt64
    }

    private nonisolated(unsafe) let raw: OpaquePointer

    init(slots: Int) throws {
        guard (8...Int(CRE_SHARED_RATE_SLOTS_MAX)).contains(slots) else {
            throw ServerError.setting("slots of a RateLimit must be 8 to \(CRE_SHARED_RATE_SLOTS_MAX), got \(slots)")
        }
        let inherited = try SharedInheritance.next()
        unsafe raw = try unsafe Shared.made("rate limit") {
            if let inherited {
                unsafe cre_shared_rate_attach(inherited, UInt32(slots), &$0)
            } else {
                unsafe cre_shared_rate_create(UInt32(slots), &$0)
            }
        }
        SharedInheritance.note(unsafe cre_shared_rate_descriptor(raw))
    }

    deinit {
        SharedInheritance.forget(unsafe cre_shared_rate_descriptor(raw))
        unsafe cre_shared_rate_destroy(raw)
    }

    /// Counts a request of a key.
    func take(_ key: [UInt8], _ limit: Limit, at now: UInt64) -> State {
        var state = cre_rate_state()
        var limit = cre_rate_limit(interval: limit.interval, window: limit.window)
        // The limit was checked when it was made.
        _ = unsafe cre_shared_rate_take(raw, key, key.count, &limit, now, &state)
        let seconds = { (time: UInt64) in (time + 999_999) / 1_000_000 }
        return State(
            passes: state.passes, remaining: state.remaining, full: seconds(state.full), retry: seconds(state.retry))
    }

    var counts: (refused: Int, evicted: Int) {
        var stats = cre_shared_rate_stats()
        unsafe cre_shared_rate_get_stats(raw, &stats, MemoryLayout<cre_shared_rate_stats>.size)
        return (Int(clamping: stats.refused), Int(clamping: stats.evicted))
    }
}
