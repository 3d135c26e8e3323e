import Foundation
import Testing

@testable import SwiftServer

/// Tasks that wait for an event, without a loop.
@MainActor @Suite struct WaitQueueTests {
    private typealias Wakeup = WaitQueue.Wakeup

    /// Suspends until `count` tasks wait.
    private func settle(_ queue: WaitQueue, _ tasks: [Task<Wakeup, Never>]) async {
        while queue.count < tasks.count { await Task.yield() }
    }

    private func wait(_ queue: WaitQueue, _ timers: Timers, _ timeout: Duration? = nil) -> Task<Wakeup, Never> {
        Task { await queue.wait(timeout, timers) }
    }

    @Test func tasksAreWokenInTheirOrder() async {
        let (queue, timers) = (WaitQueue(), Timers(loop: nil) { .now })
        let first = wait(queue, timers)
        await settle(queue, [first])
        let second = wait(queue, timers)
        await settle(queue, [first, second])
        queue.wakeFirst()
        #expect(await first.value == .event)
        #expect(queue.count == 1)
        queue.wakeAll(.cancelled)
        #expect(await second.value == .cancelled)
        #expect(queue.isEmpty)
        queue.wakeFirst()  // nobody waits
    }

    @Test func cancelledAndLateTasksLeaveTheQueue() async {
        let (start, queue) = (ContinuousClock.now, WaitQueue())
        var passed = Duration.zero
        let timers = Timers(loop: nil) { start.advanced(by: passed) }
        let cancelled = wait(queue, timers)
        await settle(queue, [cancelled])
        let late = wait(queue, timers, .seconds(5))
        await settle(queue, [cancelled, late])
        cancelled.cancel()
        #expect(await cancelled.value == .cancelled)
        #expect(queue.count == 1)
        passed = .seconds(5)
        timers.fireDue()
        #expect(await late.value == .timedOut)
        #expect(queue.isEmpty && timers.count == 0)
        let before = Task { () -> Wakeup in
            unsafe withUnsafeCurrentTask { unsafe $0?.cancel() }
            return await queue.wait(nil, timers)
        }
        #expect(await before.value == .cancelled)
    }

    @Test func anEventIsNotLostToATaskThatWaitsNoMore() async {
        let (start, queue) = (ContinuousClock.now, WaitQueue())
        var passed = Duration.zero
        let timers = Timers(loop: nil) { start.advanced(by: passed) }
        let late = wait(queue, timers, .seconds(5))
        await settle(queue, [late])
        let second = wait(queue, timers)
        await settle(queue, [late, second])
        passed = .seconds(5)
        timers.fireDue()  // the task is to resume, and has not done it yet
        #expect(queue.wakeFirst())
        #expect(await late.value == .timedOut)
        #expect(await second.value == .event)
        #expect(!queue.wakeFirst())
    }

    @Test func anEventBeforeTheRegistrationIsNotLost() async {
        let waiter = WaitQueue.Waiter(Lock(()))
        let wakeup = unsafe await withUnsafeContinuation { continuation in
            // The last moment at which the task is not registered.
            waiter.wake(.event)
            waiter.wake(.cancelled)
            let wakeup = unsafe waiter.register(continuation)
            unsafe continuation.resume(returning: wakeup ?? .timedOut)
        }
        #expect(wakeup == .event)
        #expect(await waiter.wait() == .event)
    }

    @Test func eventAndRegistrationExcludeEachOther() async throws {
        let lock = Lock(())
        let waiter = WaitQueue.Waiter(lock)
        // While one of them is in progress, which the held lock stands for, the other one has to wait.
        let woken = Step { waiter.wake(.event) }
        lock.withLock { _ in
            woken.begin()
            #expect(!woken.hasEndedAfterAWhile)
        }
        woken.join()
        let wakeup = unsafe await withUnsafeContinuation { continuation in
            let result = Lock<Wakeup?>(nil)
            let registered = Step { result.withLock { $0 = unsafe waiter.register(continuation) } }
            lock.withLock { _ in
                registered.begin()
                #expect(!registered.hasEndedAfterAWhile)
            }
            registered.join()
            unsafe continuation.resume(returning: result.withLock { $0 } ?? .timedOut)
        }
        #expect(wakeup == .event)
    }
}

/// Something that happens on another thread.
private final class Step: Sendable {
    private let began = DispatchSemaphore(value: 0)
    private let ended = DispatchSemaphore(value: 0)
    private let body: @Sendable () -> Void

    init(_ body: @escaping @Sendable () -> Void) { self.body = body }

    func begin() {
        Thread.detachNewThread { [self] in
            began.signal()
            body()
            ended.signal()
        }
        began.wait()
    }

    /// Whether it has ended although the thread was let run for a while.
    var hasEndedAfterAWhile: Bool {
        for _ in 0..<1000 {
            sched_yield()
            if ended.wait(timeout: .now()) == .success {
                ended.signal()
                return true
            }
        }
        return false
    }

    func join() { ended.wait() }
}
