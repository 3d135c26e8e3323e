/// The conditions under which a server runs in the process of a test.
package struct TestConditions: Sendable {
    /// Whether it binds its ports; if not, it gets its connections from the test.
    package let listens: Bool
    /// The time of the application's timers, which the test fires. `nil`: they run on the loop.
    package let time: (@Sendable () -> ContinuousClock.Instant)?

    package init(listens: Bool, time: (@Sendable () -> ContinuousClock.Instant)?) {
        self.listens = listens
        self.time = time
    }
}
