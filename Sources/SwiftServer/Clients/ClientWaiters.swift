/// Tasks that wait for something to happen to a client, in the order in which they came. On the loop's thread.
@safe final class ClientWaiters: @unchecked Sendable {
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

    private var waiters: [Waiter] = []

    var isEmpty: Bool { waiters.isEmpty }

    func wakeFirst() {
        if !waiters.isEmpty { waiters.removeFirst().wake(.event) }
    }

    func wakeAll() {
        let all = waiters
        waiters = []
        for waiter in all { waiter.wake(.event) }
    }

    /// Suspends the calling task, which runs on the loop, until it is woken, the time has passed, or it is cancelled.
    func wait(_ timeout: Duration? = nil, on loop: ClientLoop) async -> Wakeup {
        let waiter = Waiter()
        waiters.append(waiter)
        let timer = timeout.map { loop.timers.start(after: $0, every: nil) { _ in waiter.wake(.timedOut) } }
        let wakeup = await withTaskCancellationHandler {
            await waiter.wait()
        } onCancel: {
            loop.post { waiter.wake(.cancelled) }
        }
        if wakeup != .event { waiters.removeAll { $0 === waiter } }
        if let timer, wakeup != .timedOut { loop.timers.clear(timer) }
        return wakeup
    }
}
