/// Runs asynchronous handlers in reused tasks.
///
/// A new task for each message would cost more than many handlers do. So tasks are parked at a continuation between
/// handlers; there are as many as handlers were ever suspended at once. All run on the loop: their executor preference
/// keeps everything they await there, too.
@safe final class HandlerRunners: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    typealias Work = @MainActor () async throws -> Void

    @safe private final class Runner: @unchecked Sendable {
        var work: Work?
        var event = ServerEvent.Kind.task
        var connection: ConnectionID?
        /// Counts the handlers. The runner may have ended one and begun another before the starter of the first checks
        /// it again, when the first has resumed a handler that others are queued behind.
        var turn = 0
        var whenLate: (() -> Void)?
        var continuation: UnsafeContinuation<Void, Never>?
        var isDone = false
        var isLate = false
    }

    /// The number of parked tasks that are kept.
    static let mostParked = 1024
    /// The number of suspended handlers above which datagrams are dropped.
    static let mostPackets = 4096

    private let executor: LoopExecutor?
    private let mostParked: Int
    @safe @exclusivity(unchecked) private var parked: [Runner] = []
    /// The number of suspended handlers.
    private(set) var suspended = 0
    /// Called when a handler has thrown an error.
    var whenFailed: ((ServerEvent.Kind, ConnectionID?, any Error) -> Void)?
    /// Called when the last suspended handler has returned.
    var whenIdle: (() -> Void)?

    /// Without an executor, and with no parked tasks, handlers run on the main actor that the runtime has: for tests.
    init(executor: LoopExecutor?, mostParked: Int = HandlerRunners.mostParked) {
        self.executor = executor
        self.mostParked = mostParked
    }

    /// Starts the handler of an event. Returns whether it has ended; otherwise `whenLate` is called at its end.
    @discardableResult
    func start(
        _ event: ServerEvent.Kind = .task, _ connection: ConnectionID? = nil, _ work: @escaping Work,
        whenLate: @escaping () -> Void = {}
    ) -> Bool {
        let runner = parked.popLast() ?? Runner()
        runner.work = work
        runner.event = event
        runner.connection = connection
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
        executor?.drain()
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
                do {
                    let work = runner.work.take()  // ends here: a parked task holds nothing
                    try await work?()
                } catch { self.whenFailed?(runner.event, runner.connection, error) }
                runner.isDone = true
                if runner.isLate { self.finishLate(runner) }
                // A handler may have cancelled its task, which must not affect the next handler.
                if Task.isCancelled || self.parked.count >= self.mostParked { return }
                unsafe await withUnsafeContinuation { continuation in
                    unsafe runner.continuation = continuation
                    self.parked.append(runner)
                }
            } while true
        }
    }
}
