/// Tasks that wait for something to happen on a connection, in the order in which they came.
@safe final class WaitQueue: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    enum Wakeup { case event, timedOut, cancelled }

    @safe private final class Waiter: @unchecked Sendable {
        private var continuation: UnsafeContinuation<Wakeup, Never>?
        private var wakeup: Wakeup?

        /// Only the first call has an effect.
        func wake(_ wakeup: Wakeup) {
            guard self.wakeup == nil else { return }
            self.wakeup = wakeup
            unsafe continuation.take()?.resume(returning: wakeup)
        }

        func wait() async -> Wakeup {
            if let wakeup { return wakeup }
            return unsafe await withUnsafeContinuation { unsafe continuation = $0 }
        }
    }

    @safe @exclusivity(unchecked) private var waiters: [Waiter] = []

    var isEmpty: Bool { waiters.isEmpty }

    /// Wakes the task that has waited longest.
    func wakeFirst() {
        guard !waiters.isEmpty else { return }
        waiters.removeFirst().wake(.event)
    }

    func wakeAll(_ wakeup: Wakeup = .event) {
        let all = waiters
        waiters = []
        for waiter in all { waiter.wake(wakeup) }
    }

    /// Suspends the calling task until it is woken or the time has passed; and, unless somebody else looks after that,
    /// until it is cancelled.
    func wait(_ timeout: Duration? = nil, _ timers: Timers, noticesCancellation: Bool = true) async -> Wakeup {
        let waiter = Waiter()
        waiters.append(waiter)
        let timer = timeout.map { timers.start(after: $0, every: nil) { _ in waiter.wake(.timedOut) } }
        let wakeup =
            if noticesCancellation {
                await withTaskCancellationHandler {
                    await waiter.wait()
                } onCancel: {
                    Task { @MainActor in waiter.wake(.cancelled) }
                }
            } else {
                await waiter.wait()
            }
        if wakeup != .event { waiters.removeAll { $0 === waiter } }
        if let timer, wakeup != .timedOut { timers.clear(timer) }
        return wakeup
    }
}
