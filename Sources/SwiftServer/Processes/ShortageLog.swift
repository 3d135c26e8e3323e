/// Logs connections that were lost for want of descriptors or memory, or refused because of the PROXY protocol or at a
/// limit: within a second, and while that lasts once every ten seconds, with their number.
///
/// It reads counters instead of being called, because those who count may have no memory to report.
@safe final class ShortageLog: @unchecked Sendable {
    // `@unchecked`: used on the loop's thread only.
    private static let interval: Duration = .seconds(1)
    /// Intervals between two lines of the same kind.
    private static let pause = 10
    private let bus: Bus
    private var logged: Shortages
    private var intervalsLeft = 0

    init(_ bus: Bus) {
        self.bus = bus
        logged = Shortages(bus)
    }

    func start(_ timers: Timers) {
        _ = timers.start(after: ShortageLog.interval, every: ShortageLog.interval) { [self] _ in check() }
    }

    private func check() {
        if intervalsLeft > 0 { intervalsLeft -= 1 }
        let now = Shortages(bus)
        guard now != logged, intervalsLeft == 0 else { return }
        for line in (now - logged).lines { Log.warning(line) }
        logged = now
        intervalsLeft = ShortageLog.pause
    }
}
