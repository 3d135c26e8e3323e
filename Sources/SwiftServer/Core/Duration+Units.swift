extension Duration {
    /// Nanoseconds, clamped to what 64 bits hold (some 292 years).
    var nanoseconds: Int64 {
        let (seconds, overflow) = components.seconds.multipliedReportingOverflow(by: 1_000_000_000)
        let (sum, overflows) = seconds.addingReportingOverflow(components.attoseconds / 1_000_000_000)
        return overflow || overflows ? (self < .zero ? .min : .max) : sum
    }
    /// Milliseconds, rounded up, so that a short time does not become zero.
    var milliseconds: Int64 { nanoseconds / 1_000_000 + (nanoseconds % 1_000_000 > 0 ? 1 : 0) }
}

extension Duration? {
    /// Milliseconds as the C core takes a timeout: `nil` becomes -1, which means no limit.
    var timeoutMilliseconds: Int64 { map { max(0, $0.milliseconds) } ?? -1 }
}
