/// Tasks that wait for something to happen to a connection or a client, in the order in which they came.
@safe final class WaitQueue: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    enum Wakeup: Sendable { case event, timedOut, cancelled }

    /// One waiting task.
    @safe final class Waiter: @unchecked Sendable {
        // `@unchecked`: used on the loop's thread only, or under the lock.
        private var continuation: UnsafeContinuation<Wakeup, Never>?
        private var wakeup: Wakeup?
        private let lock: Lock<Void>?

        /// `lock`: for a task with a cancellation handler, which may begin to wait on another thread than the loop's.
        init(_ lock: Lock<Void>?) { self.lock = lock }

        /// Only the first call has an effect. Returns whether it was this one.
        @discardableResult
        func wake(_ wakeup: Wakeup) -> Bool {
            let (isFirst, waiting) = unsafe guarded { () -> (Bool, UnsafeContinuation<Wakeup, Never>?) in
                guard self.wakeup == nil else { return (false, nil) }
                self.wakeup = wakeup
                return unsafe (true, self.continuation.take())
            }
            unsafe waiting?.resume(returning: wakeup)
            return isFirst
        }

        func wait() async -> Wakeup {
            unsafe await withUnsafeContinuation { continuation in
                if let wakeup = unsafe register(continuation) { unsafe continuation.resume(returning: wakeup) }
            }
        }

        /// Keeps the continuation of the task for its wakeup. Returns the wakeup if there was one before.
        func register(_ continuation: UnsafeContinuation<Wakeup, Never>) -> Wakeup? {
            guarded {
                if wakeup == nil { unsafe self.continuation = continuation }
                return wakeup
            }
        }

        private func guarded<Result>(_ body: () -> Result) -> Result {
            if let lock { lock.withLock { _ in body() } } else { body() }
        }
    }

    @safe @exclusivity(unchecked) private var waiters: [Waiter] = []

    /// Made for the first task with a cancellation handler.
    private var lock: Lock<Void>?

    var isEmpty: Bool { waiters.isEmpty }
    /// The number of waiting tasks.
    var count: Int { waiters.count }

    /// Wakes the task that has waited longest. Returns false if no task waits. A task that was cancelled, or
    /// whose time has passed, does not count as waiting, even before it has resumed.
    @discardableResult
    func wakeFirst() -> Bool {
        while !waiters.isEmpty {
            if waiters.removeFirst().wake(.event) { return true }
        }
        return false
    }

    func wakeAll(_ wakeup: Wakeup = .event) {
        let all = waiters
        waiters = []
        for waiter in all { waiter.wake(wakeup) }
    }

    /// Suspends the calling task, which runs on the loop of the timers, until it is woken or the time has passed.
    /// `noticesCancellation`: also until it is cancelled; otherwise whoever cancels it wakes it.
    func wait(_ timeout: Duration? = nil, _ timers: Timers, noticesCancellation: Bool = true) async -> Wakeup {
        if noticesCancellation, lock == nil { lock = Lock(()) }
        let waiter = Waiter(noticesCancellation ? lock : nil)
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

/// A queue that is made for the first task that waits in it: most connections need none.
struct LazyWaitQueue {
    private var made: WaitQueue?

    var isEmpty: Bool { made?.isEmpty ?? true }

    var queue: WaitQueue {
        mutating get {
            let queue = made ?? WaitQueue()
            made = queue
            return queue
        }
    }

    @discardableResult
    func wakeFirst() -> Bool { made?.wakeFirst() ?? false }
    func wakeAll(_ wakeup: WaitQueue.Wakeup = .event) { made?.wakeAll(wakeup) }
}
