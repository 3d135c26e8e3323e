internal import Synchronization

/// A time that stands still until a test advances it.
final class TestTime: Sendable {
    private let current = Mutex(ContinuousClock.now)

    var now: ContinuousClock.Instant {
        get { current.withLock { $0 } }
        set { current.withLock { $0 = newValue } }
    }
}
