/// The wait of a client before it connects again. On the loop's thread.
@safe final class ClientRetry: ClientLoopMember, @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread, `owner` apart, which is weak.
    private weak var owner: WebSocketClient?
    private unowned let loop: ClientLoop
    private var timer = TimerID.invalid

    /// Begins to wait. The loop holds the wait up to its end.
    init(_ owner: WebSocketClient, _ loop: ClientLoop, after delay: Duration) {
        self.owner = owner
        self.loop = loop
        loop.add(self)
        timer = loop.timers.start(after: delay, every: nil) { [unowned self] _ in fired() }
    }

    private func fired() {
        let owner = owner
        loop.remove(self)
        owner?.assumeIsolated { $0.again() }
    }

    func cancel() {
        loop.timers.clear(timer)
        loop.remove(self)
    }

    func loopEnds() { owner?.assumeIsolated { $0.loopEnded() } }
}
