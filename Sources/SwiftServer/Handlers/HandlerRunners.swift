internal import Glibc
internal import Synchronization

/// Runs asynchronous handlers in reused tasks.
///
/// A new task for each message would cost more than many handlers do. So tasks are parked at a continuation between
/// handlers; there are as many as handlers were ever suspended at once. All run on the loop: their executor preference
/// keeps everything they await there, too.
@safe final class HandlerRunners: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    typealias Work = @MainActor () async throws -> Void

    /// What a parked task gets when it is resumed.
    enum Resumption: @unchecked Sendable {
        // `@unchecked`: what is lent stays on the loop.
        case work(Work)
        case message(MessageCall, LentFrame)
        case request(AsyncHandler.Handler, LentArguments)
        case middleware(AsyncHandler.Middleware, LentArguments, rest: UInt)
    }

    /// Ends the task of a runner.
    private struct End: Error {}

    /// The number of parked tasks that are kept.
    static let mostParked = 1024
    /// The number of suspended handlers above which datagrams are dropped.
    static let mostPackets = 4096

    private let executor: LoopExecutor?
    private let mostParked: Int
    /// The runner that was parked last, which has those before it as a chain.
    @safe @exclusivity(unchecked) private var parked: Runner?
    @safe @exclusivity(unchecked) private var parkedCount = 0
    /// The number of suspended handlers.
    private(set) var suspended = 0
    /// The process whose messages are handled, while its link is open.
    @safe @exclusivity(unchecked) var worker: Uncounted<WorkerContext>?
    /// Called when the handler of a request has returned or has thrown an error.
    @safe @exclusivity(unchecked) var whenServed: PlainHandlers.Served.Plain?
    /// Called when such a handler has answered without having been suspended, with the connection of its request. It
    /// gives the runner a further request, if one was received with that.
    @safe @exclusivity(unchecked) var nextToServe: ((ConnectionID, Runner) -> Void)?
    /// Called when another handler has thrown an error.
    var whenFailed: ((ServerEvent.Kind, ConnectionID?, any Error) -> Void)?
    /// Called when the last suspended handler has returned.
    var whenIdle: (() -> Void)?

    /// Without an executor, and with no parked tasks, handlers run on the main actor that the runtime has: for tests.
    init(executor: LoopExecutor?, mostParked: Int = HandlerRunners.mostParked) {
        self.executor = executor
        self.mostParked = mostParked
    }

    /// A runner for the next handler.
    func take() -> Runner {
        guard let runner = parked.take() else { return Runner() }
        parked = runner.before.take()
        parkedCount -= 1
        return runner
    }

    /// Starts the handler of an event, on `taken` or on another runner. Returns `nil` if the handler has already
    /// ended; otherwise the runner, which calls `whenLate` when the handler ends.
    @discardableResult
    func start(
        _ event: ServerEvent.Kind = .task, _ connection: ConnectionID? = nil, on taken: Runner? = nil,
        _ work: @escaping Work
    ) -> Runner? {
        start(event, connection, on: taken, .work(work))
    }

    /// Starts the handler of a message, and with it those of the messages behind it that are there already.
    func startMessage(
        _ connection: ConnectionID, _ handler: consuming MessageCall, _ message: TaskMessage
    ) -> Runner? {
        let runner = take()
        runner.message = message.bytes
        return start(.message, connection, on: runner, .message(consume handler, message.frame))
    }

    /// Starts the handler of a request. Its end is reported by ``whenServed``.
    @discardableResult
    func start(
        _ function: AsyncHandler, _ request: consuming Request, _ object: consuming AnyObject,
        on taken: Runner? = nil
    ) -> Runner? {
        let runner = taken ?? take()
        runner.keep(function, consume request, consume object)
        return start(.request, runner.connection, on: runner, runner.call)
    }

    @discardableResult @inline(__always)
    private func start(
        _ event: ServerEvent.Kind, _ connection: ConnectionID?, on taken: Runner?, _ next: consuming Resumption
    ) -> Runner? {
        let runner = taken ?? take()
        runner.event = event
        runner.connection = connection
        runner.turn += 1
        let turn = runner.turn
        runner.isDone = false
        runner.isLate = false
        if let continuation = unsafe runner.continuation.take() {
            unsafe continuation.resume(returning: consume next)
        } else {
            runner.first = consume next
            begin(runner)
        }
        executor?.drain()
        if runner.isDone || runner.turn != turn { return nil }
        runner.isLate = true
        suspended += 1
        return runner
    }

    private func begin(_ runner: Runner) {
        let run: @MainActor @Sendable () async -> Void = {
            await withTaskCancellationHandler {
                await self.run(runner, on: MainActor.shared)
            } onCancel: {
                runner.noteCancellation()
            }
        }
        let turn = runner.turn
        // A task that is used again must not have the task-local values of who has started it.
        runner.task =
            runner.isReused
            ? Task.immediateDetached(executorPreference: executor, operation: run)
            : Task.immediate(executorPreference: executor, operation: run)
        if runner.isCancelledEarly, !runner.isDone, runner.turn == turn { runner.task?.cancel() }
    }

    /// Each change of actors in this function looks up the task's preferred executor, even if the actor stays the same.
    /// So there is only one change for each handler, after it: the handler is the first call after the resumption, the
    /// work at its end is done in `park`, and the continuation has the actor of the function, and not the same one from
    /// another call of `MainActor.shared`.
    private func run(_ runner: Runner, on actor: isolated (any Actor)?) async {
        let park: @Sendable (UnsafeContinuation<Resumption, Never>) -> Void = { unsafe self.park(runner, $0) }
        var next = runner.takeFirst()
        while true {
            do {
                switch consume next {
                case .work(let work): try await work()
                case .message(let call, let frame):
                    try await call.function.call(call.server, frame)
                    if let further = takeFurther(runner) { try await serve(call, further, runner) }
                case .request(let handler, let arguments):
                    try await handler(arguments.request, arguments.object)
                    if let further = takeGiven(runner) { try await serve(handler, further, runner) }
                case .middleware(let function, let arguments, let rest):
                    try await function(arguments.request, arguments.object, rest)
                    if let further = takeGiven(runner) { try await serve(function, further, rest, runner) }
                }
            } catch {
                if error is End { return }
                takeBack(runner)
                failed(runner, error)
            }
            if let other = takeOther(runner) {
                next = other
                continue
            }
            next = unsafe await withUnsafeContinuation(isolation: actor, park)
        }
    }

    /// Calls the handler for the messages behind the first one that have been received already.
    ///
    /// Between two calls this function needs no executor, so the compiler does not have it return to its actor, which
    /// would cost more than many handlers do. For that it must release nothing, and ``next(_:)``, which also runs
    /// wherever the handler has returned, must not be inlined.
    @inline(never) nonisolated(nonsending) private func serve(
        _ call: MessageCall, _ frame: LentFrame, _ runner: Runner
    ) async throws {
        var frame = frame
        while true {
            try await call.function.call(call.server, frame)
            var next = await next(runner)
            if case .elsewhere = next { next = await nextFromElsewhere(runner) }
            guard case .frame(let another) = next else { return }
            frame = another
        }
    }

    private enum NextFrame {
        case none
        case frame(LentFrame)
        /// The handler has returned on another thread, for example that of the last actor that it has called.
        case elsewhere
    }

    @inline(never) nonisolated(nonsending) private func next(_ runner: Runner) async -> NextFrame {
        guard runner.isHere else { return .elsewhere }
        return takeFurther(runner).map { .frame($0) } ?? .none
    }

    @inline(never) @MainActor private func nextFromElsewhere(_ runner: Runner) async -> NextFrame {
        takeFurther(runner).map { .frame($0) } ?? .none
    }

    /// Takes back the message of the runner, and lends it the next one, unless the handler has cancelled its task.
    @inline(__always) private func takeFurther(_ runner: Runner) -> LentFrame? {
        takeBack(runner)
        guard let connection = runner.connection, !runner.isCancelled,
            let message = worker?.with({ $0.lendMessage(connection) })
        else { return nil }
        runner.message = message.bytes
        return message.frame
    }

    @inline(__always) private func takeBack(_ runner: Runner) {
        guard let message = runner.message.take() else { return }
        if let worker { worker.with { $0.takeBack(message) } } else { message.release() }
    }

    /// Calls the handler of a request for those behind it that have been received already, likewise, as long as they
    /// have the same handler.
    @inline(never) nonisolated(nonsending) private func serve(
        _ handler: @escaping AsyncHandler.Handler, _ arguments: LentArguments, _ runner: Runner
    ) async throws {
        var arguments = arguments
        while true {
            try await handler(arguments.request, arguments.object)
            guard let further = await nextArguments(runner) else { return }
            arguments = further
        }
    }

    /// Calls a function of middleware likewise.
    @inline(never) nonisolated(nonsending) private func serve(
        _ middleware: @escaping AsyncHandler.Middleware, _ arguments: LentArguments, _ rest: UInt,
        _ runner: Runner
    ) async throws {
        var arguments = arguments
        while true {
            try await middleware(arguments.request, arguments.object, rest)
            guard let further = await nextArguments(runner) else { return }
            arguments = further
        }
    }

    @inline(never) nonisolated(nonsending) private func nextArguments(_ runner: Runner) async -> LentArguments? {
        // Elsewhere nothing is asked for: `run` does it when it is back on the loop.
        runner.isHere ? takeGiven(runner) : nil
    }

    /// Asks for a further request. Returns what its handler gets, if that is the one that has returned.
    private func takeGiven(_ runner: Runner) -> LentArguments? {
        ask(runner)
        guard runner.given == .sameHandler else { return nil }
        runner.given = .nothing
        return runner.arguments
    }

    /// The call of another handler for a request that the task was given, or of any for one that it asks for now.
    @inline(__always) private func takeOther(_ runner: Runner) -> Resumption? {
        guard runner.object != nil else { return nil }
        if runner.given == .nothing { ask(runner) }
        guard runner.given != .nothing else { return nil }
        runner.given = .nothing
        return runner.call
    }

    /// The handler of a request has returned: its task may go on with the next one, unless the handler was suspended or
    /// has not answered.
    private func ask(_ runner: Runner) {
        guard !runner.isLate, runner.isReused, let nextToServe, let connection = runner.connection,
            !runner.isCancelled, served(runner, nil)
        else { return }
        nextToServe(connection, runner)
    }

    /// Reports the end of the handler of a request. Returns whether it has answered.
    @inline(__always) private func served(_ runner: Runner, _ error: (any Error)?) -> Bool {
        guard let object = runner.object.take() else { return false }
        let hasAnswered = whenServed?.call(consume object, runner, error) ?? false
        runner.request = nil
        return hasAnswered
    }

    /// A handler has ended: its task waits for the next one, or ends.
    private func park(_ runner: Runner, _ continuation: UnsafeContinuation<Resumption, Never>) {
        if runner.object != nil { _ = served(runner, nil) }
        if runner.function != nil { runner.function = nil }
        runner.isDone = true
        if runner.isLate { finishLate(runner) }
        // A handler may have cancelled its task, which must not affect the next handler.
        if !runner.isReused || runner.isCancelled || parkedCount >= mostParked {
            return unsafe continuation.resume(returning: .work { throw End() })
        }
        unsafe runner.continuation = continuation
        runner.before = parked.take()
        parked = runner
        parkedCount += 1
    }

    private func finishLate(_ runner: Runner) {
        suspended -= 1
        runner.whenLate.take()?()
        if suspended == 0 { whenIdle?() }
    }

    private func failed(_ runner: Runner, _ error: any Error) {
        if runner.object != nil {
            _ = served(runner, error)
        } else {
            whenFailed?(runner.event, runner.connection, error)
        }
    }
}
