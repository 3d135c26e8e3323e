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

    /// A task that runs one handler after another.
    @safe final class Runner: @unchecked Sendable {
        @safe @exclusivity(unchecked) fileprivate var event = ServerEvent.Kind.task
        @safe @exclusivity(unchecked) fileprivate var connection: ConnectionID?
        /// The runner that was parked before this one, while it is parked.
        @safe @exclusivity(unchecked) fileprivate var before: Runner?
        /// Counts the handlers. The runner may have ended one and begun another before the starter of the first checks
        /// it again, when the first has resumed a handler that others are queued behind.
        @safe @exclusivity(unchecked) fileprivate var turn = 0
        /// Called when a handler ends for which `start` has returned this runner.
        @safe @exclusivity(unchecked) var whenLate: (() -> Void)?
        /// Called with the error of such a handler, in place of ``HandlerRunners/whenFailed``.
        @safe @exclusivity(unchecked) var whenLateFailed: ((any Error) -> Void)?
        /// The error of a request's handler that has ended within `start`.
        @safe @exclusivity(unchecked) fileprivate var error: (any Error)?
        @safe @exclusivity(unchecked) fileprivate var first: Next?
        /// The message that was lent to its task.
        @safe @exclusivity(unchecked) fileprivate var message: Uncounted<MessageBytes>?
        /// The WebSocket of a straight-line handler, until its end is reported.
        @safe @exclusivity(unchecked) fileprivate var socket: AnyObject?
        @safe @exclusivity(unchecked) fileprivate var continuation: UnsafeContinuation<Next, Never>?
        @safe @exclusivity(unchecked) fileprivate var isDone = false
        @safe @exclusivity(unchecked) fileprivate var isLate = false
        @safe @exclusivity(unchecked) fileprivate var task: Task<Void, Never>?
        /// Whether the first handler of a new task was cancelled before it has suspended.
        @safe @exclusivity(unchecked) fileprivate var isCancelledEarly = false
        /// The task, once it has begun.
        @safe @exclusivity(unchecked) fileprivate var name = CurrentTask(name: 0)

        /// Whether others use its task again.
        fileprivate let isReused: Bool

        /// - Parameter isReused: false for a handler that runs inside of another task, whose task-local values it has.
        init(isReused: Bool = true) { self.isReused = isReused }

        /// The thread of the loop, which made the runner: to ask the executor would count a reference for each message.
        private let thread = pthread_self()

        /// Whether the calling thread is the loop's.
        @inline(__always) fileprivate var isHere: Bool { pthread_self() == thread }

        /// Set when the task is cancelled: to ask the runtime takes a locked instruction for each message.
        private let cancellation = Atomic(false)

        /// Whether the task is cancelled.
        var isCancelled: Bool { cancellation.load(ordering: .relaxed) }

        fileprivate func noteCancellation() { cancellation.store(true, ordering: .relaxed) }

        /// Whether the caller is the runner's own task, and not a child of it or another one.
        var isCurrent: Bool { name.isKnown && CurrentTask() == name }

        /// Cancels the handler that runs. Returns false while its task has not suspended for the first time: it is
        /// cancelled when it has.
        func cancel() -> Bool {
            task?.cancel()
            isCancelledEarly = task == nil
            return task != nil
        }
    }

    /// What a parked task gets when it is resumed. Its task calls the handler of a message, and a straight-line one,
    /// itself: no closure is made.
    fileprivate enum Next: Sendable {
        case work(Work)
        case message(MessageCall, LentFrame)
        case straightLine(StraightLine)
    }

    /// A straight-line handler with its arguments: one value, since the task looks for its executor once more before it
    /// takes apart several.
    struct StraightLine: @unchecked Sendable {
        // `@unchecked`: the WebSocket is Sendable.
        let handler: StraightLineHandler
        let request: Request
        let socket: any AnyObject & Sendable
    }

    /// A straight-line handler. The WebSocket that it gets belongs to a higher layer, so here it is any object.
    @safe struct StraightLineHandler: Sendable {
        fileprivate struct Erased { let call: @MainActor (Request, AnyObject) async throws -> Void }
        private struct Typed<S: AnyObject> { let call: @MainActor (Request, S) async throws -> Void }

        fileprivate let handler: Erased

        /// A reference to an object of a class has the layout of one to any object.
        init<S: AnyObject & Sendable>(_ handler: @escaping @MainActor (Request, S) async throws -> Void) {
            self.handler = unsafe unsafeBitCast(Typed(call: handler), to: Erased.self)
        }
    }

    /// A function that handles messages. The server that it gets is any object here.
    @safe struct MessageFunction: Sendable {
        private struct Typed<S: AnyObject> { let call: @MainActor (S, Frame) async throws -> Void }
        /// It gets the frame as a ``LentFrame``.
        fileprivate struct Plain { let call: @MainActor (AnyObject, LentFrame) async throws -> Void }

        let call: @MainActor (AnyObject, Frame) async throws -> Void
        fileprivate var plain: Plain { unsafe unsafeBitCast(self, to: Plain.self) }

        /// A reference to an object of a class has the layout of one to any object.
        init<S: AnyObject & Sendable>(_ handler: @escaping @MainActor (S, Frame) async throws -> Void) {
            self = unsafe unsafeBitCast(Typed(call: handler), to: MessageFunction.self)
        }
    }

    /// The handler of messages, with the server that it gets. All messages of a port have the same one.
    struct MessageCall: @unchecked Sendable {
        // `@unchecked`: the server is Sendable.
        fileprivate let function: MessageFunction.Plain
        fileprivate let server: AnyObject

        init(_ function: MessageFunction, _ server: AnyObject) {
            self.function = function.plain
            self.server = server
        }
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
    /// Called when a straight-line handler has returned or has thrown an error, with the WebSocket that it got.
    @safe @exclusivity(unchecked) var whenServed: PlainHandlers.Served.Plain?
    /// Called when a straight-line handler has returned without having been suspended, with the connection of its
    /// request. Returns the call with which its task goes on, if a further request was received with that one.
    @safe @exclusivity(unchecked) var nextToServe: ((ConnectionID, Runner) -> StraightLine?)?
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

    /// Starts a straight-line handler, which gets a WebSocket. Its end is reported by ``whenServed``.
    func start(_ call: consuming StraightLine, on runner: Runner) {
        runner.socket = call.socket
        start(.request, call.request.fd, on: runner, .straightLine(call))
    }

    @discardableResult @inline(__always)
    private func start(
        _ event: ServerEvent.Kind, _ connection: ConnectionID?, on taken: Runner?, _ next: consuming Next
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
        let park: @Sendable (UnsafeContinuation<Next, Never>) -> Void = { unsafe self.park(runner, $0) }
        var next = runner.takeFirst()
        while true {
            do {
                switch consume next {
                case .work(let work): try await work()
                case .message(let call, let frame):
                    try await call.function.call(call.server, frame)
                    if let further = takeFurther(runner) { try await serve(call, further, runner) }
                case .straightLine(let call): try await serve(call, runner)
                }
            } catch {
                if error is End { return }
                takeBack(runner)
                failed(runner, error)
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

    /// Calls a straight-line handler, and then those of the requests behind its own that are there already.
    @MainActor private func serve(_ call: StraightLine, _ runner: Runner) async throws {
        try await call.handler.handler.call(call.request, call.socket)
        while let call = takeFurtherCall(runner) { try await call.handler.handler.call(call.request, call.socket) }
    }

    /// The next call of a straight-line handler, unless the one before was suspended.
    private func takeFurtherCall(_ runner: Runner) -> StraightLine? {
        guard !runner.isLate, runner.isReused, let nextToServe, let connection = runner.connection,
            !runner.isCancelled
        else { return nil }
        if let socket = runner.socket.take() { whenServed?.call(socket, nil) }
        guard let call = nextToServe(connection, runner) else { return nil }
        runner.socket = call.socket
        runner.connection = call.request.fd
        return call
    }

    /// A handler has ended: its task waits for the next one, or ends.
    private func park(_ runner: Runner, _ continuation: UnsafeContinuation<Next, Never>) {
        if let socket = runner.socket.take() { whenServed?.call(socket, nil) }
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
        if runner.whenLateFailed != nil { runner.whenLateFailed = nil }
        runner.whenLate.take()?()
        if suspended == 0 { whenIdle?() }
    }

    private func failed(_ runner: Runner, _ error: any Error) {
        if let socket = runner.socket.take() {
            whenServed?.call(socket, error)
            return
        }
        if let whenLateFailed = runner.whenLateFailed { return whenLateFailed(error) }
        if runner.event == .request, !runner.isLate {
            runner.error = error
        } else {
            whenFailed?(runner.event, runner.connection, error)
        }
    }

    /// What has become of the handler of a request.
    enum Outcome {
        case ended
        case failed(any Error)
        /// It is suspended. The runner reports its end, and its error.
        case suspended(Runner)
    }

    /// Starts the handler of a request, whose errors are for the caller: to catch them in `work` would cost a change of
    /// actors.
    @inline(__always) func startRequest(_ connection: ConnectionID, _ work: @escaping Work) -> Outcome {
        let runner = take()
        if let late = start(.request, connection, on: runner, work) { return .suspended(late) }
        guard let error = runner.error else { return .ended }
        runner.error = nil
        return .failed(error)
    }
}

extension HandlerRunners.Runner {
    /// The first handler of a new task. A parked task keeps nothing of it.
    fileprivate func takeFirst() -> HandlerRunners.Next {
        name = CurrentTask()
        return unsafe first.take().unsafelyUnwrapped
    }
}
