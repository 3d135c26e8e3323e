/// Runs asynchronous handlers in tasks that are used again.
///
/// A new task for each message would cost more than many a handler. So a task waits, parked at a continuation, for one
/// handler after the other; there are as many as handlers were ever suspended at once. All run on the loop: their
/// preference for its executor keeps everything they await there, too.
@safe final class HandlerRunners: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    typealias Work = @MainActor () async -> Void

    @safe private final class Runner: @unchecked Sendable {
        var work: Work?
        /// Which handler it is at: it may be done with one and in the middle of the next before the first one's
        /// starter looks at it again, when the first one woke a handler that others wait behind.
        var turn = 0
        var whenLate: (() -> Void)?
        var continuation: UnsafeContinuation<Void, Never>?
        var isDone = false
        var isLate = false
    }

    /// So many parked tasks are kept; more end when they are done.
    private static let most = 1024
    /// With so many handlers suspended, further datagrams are dropped.
    static let mostPackets = 4096

    private let executor: LoopExecutor
    private var parked: [Runner] = []
    /// How many handlers are suspended.
    private(set) var suspended = 0
    /// Called when the last suspended handler has returned.
    var whenIdle: (() -> Void)?

    init(executor: LoopExecutor) { self.executor = executor }

    /// Starts a handler. True when it is done already; otherwise `whenLate` is called when it is.
    func start(_ work: @escaping Work, whenLate: @escaping () -> Void) -> Bool {
        let runner = parked.popLast() ?? Runner()
        runner.work = work
        runner.turn += 1
        let turn = runner.turn
        runner.isDone = false
        runner.isLate = false
        if let continuation = unsafe runner.continuation {
            unsafe runner.continuation = nil
            unsafe continuation.resume()
        } else {
            begin(runner)
        }
        executor.drain()
        if runner.isDone || runner.turn != turn { return true }
        runner.isLate = true
        runner.whenLate = whenLate
        suspended += 1
        return false
    }

    private func finishLate(_ runner: Runner) {
        suspended -= 1
        runner.whenLate.take()?()
        if suspended == 0 { whenIdle?() }
    }

    private func begin(_ runner: Runner) {
        Task.immediate(executorPreference: executor) { @MainActor in
            repeat {
                let work = runner.work.take()
                await work?()
                runner.isDone = true
                if runner.isLate { self.finishLate(runner) }
                // A handler may have cancelled the task that it took for its own: the next one must not suffer for it.
                if Task.isCancelled || self.parked.count >= HandlerRunners.most { return }
                unsafe await withUnsafeContinuation { continuation in
                    unsafe runner.continuation = continuation
                    self.parked.append(runner)
                }
            } while true
        }
    }
}
