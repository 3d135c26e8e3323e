/// Tasks that wait for something to happen to a connection or a client, in the order in which they came.
@safe final class WaitQueue: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    enum Wakeup: Sendable { case event, timedOut, cancelled }

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

    /// Suspends the calling task, which runs on the loop of the timers, until it is woken or the time has passed.
    /// `noticesCancellation`: also until it is cancelled; otherwise whoever cancels it wakes it.
    func wait(_ timeout: Duration? = nil, _ timers: Timers, noticesCancellation: Bool = true) async -> Wakeup {
        let waiter = Waiter()
        waiters.append(waiter)
        let timer = timeout.map { timers.start(after: $0, every: nil) { _ in waiter.wake(.timedOut) } }
        let wakeup =
            if noticesCancellation {
                await waitOrCancel(waiter, timers.loop)
            } else {
                await waiter.wait()
            }
        if wakeup != .event { waiters.removeAll { $0 === waiter } }
        if let timer, wakeup != .timedOut { timers.clear(timer) }
        return wakeup
    }

    /// Without a loop, or after its end, the waiter is woken on the main actor.
    private func waitOrCancel(_ waiter: Waiter, _ loop: EventLoop?) async -> Wakeup {
        await withTaskCancellationHandler {
            await waiter.wait()
        } onCancel: {
            let isPosted = loop?.post { waiter.wake(.cancelled) } ?? false
            if !isPosted { Task { @MainActor in waiter.wake(.cancelled) } }
        }
    }
}
