import Testing

@testable import SwiftServer

@Suite struct RateLimitTests {
    private static func limit(_ requests: Int, _ period: Duration, _ burst: Int? = nil) throws -> SharedRates.Limit {
        try SharedRates.Limit(requests: requests, per: period, burst: burst)
    }

    @Test func limitsInMicroseconds() throws {
        let limit = try RateLimitTests.limit(100, .seconds(60))
        #expect(limit.interval == 600_000 && limit.window == 60_000_000)
        let burst = try RateLimitTests.limit(100, .seconds(60), 5)
        #expect(burst.interval == 600_000 && burst.window == 3_000_000)
        let day = try RateLimitTests.limit(1, .seconds(86400))
        #expect(day.interval == 86_400_000_000 && day.window == day.interval)
    }

    @Test func invalidLimitsAreNamed() {
        for (requests, period, burst, name) in [
            (0, .seconds(1), nil, "requests"), (-1, .seconds(1), nil, "requests"), (.max, .seconds(1), nil, "requests"),
            (1, .zero, nil, "per"), (1, .seconds(-1), nil, "per"), (1, .seconds(86401), nil, "per"),
            (1_000_000, .milliseconds(1), nil, "microsecond"), (1, .seconds(1), 0, "burst"),
            (1, .seconds(86400), 2, "burst"), (1, .seconds(1), .max, "burst"),
        ] as [(Int, Duration, Int?, String)] {
            let error = #expect(throws: ServerError.self) { _ = try RateLimitTests.limit(requests, period, burst) }
            #expect(error?.message.contains(name) == true, "\(requests) \(period)")
        }
        for slots in [0, 7, 1 << 27, -1, .max] {
            #expect(throws: ServerError.self) { _ = try SharedRates(slots: slots) }
        }
    }

    @Test func bucketsAreFilledAgain() throws {
        let rates = try SharedRates(slots: 64)
        let limit = try RateLimitTests.limit(60, .seconds(60), 3)
        let start: UInt64 = 1_000_000_000
        #expect((0..<3).map { _ in rates.take([1], limit, at: start).remaining } == [2, 1, 0])
        let refused = rates.take([1], limit, at: start + 100)
        #expect(!refused.passes && refused.remaining == 0 && refused.retry == 1 && refused.full == 3)
        #expect(rates.take([2], limit, at: start).passes)
        #expect(!rates.take([1], limit, at: start + 999_999).passes)
        #expect(rates.take([1], limit, at: start + 1_000_000).passes)
        #expect(!rates.take([1], limit, at: start + 1_000_000).passes)
        #expect(rates.take([1], limit, at: start + 60_000_000).remaining == 2)
        #expect(rates.counts.refused == 3 && rates.counts.evicted == 0)
    }

    @Test func keysOfAddresses() {
        #expect(RateLimitKey(address: "192.0.2.7")?.bytes == [192, 0, 2, 7])
        #expect(RateLimitKey(address: "::ffff:192.0.2.7")?.bytes == [192, 0, 2, 7])
        let first = RateLimitKey(address: "2001:db8:1:2:3:4:5:6")
        #expect(first?.bytes.count == 8)
        #expect(first == RateLimitKey(address: "2001:db8:1:2::1"))
        #expect(first != RateLimitKey(address: "2001:db8:1:3::1"))
        for text in ["", "unix:/run/x", "host"] { #expect(RateLimitKey(address: text) == nil) }
    }

    @Test func policies() {
        #expect(RateLimit.policy("a", 100, .seconds(60)) == "\"a\";q=100;w=60")
        #expect(RateLimit.policy("a \"b\"", 5, .milliseconds(500)) == "\"a \\\"b\\\"\";q=5")
    }

    @Test func logLinesAreLimited() {
        let log = RateLimitLog()
        #expect(log.count(at: 5) == 1)
        for time: UInt64 in [5, 6, 10_000_004] { #expect(log.count(at: time) == nil) }
        #expect(log.count(at: 10_000_005) == 4)
        #expect(log.count(at: 10_000_006) == nil)
    }
}
