internal import Glibc
internal import Synchronization

extension HandlerRunners {
    /// A task that runs one handler after another.
    @safe final class Runner: @unchecked Sendable {
        @safe @exclusivity(unchecked) var event = ServerEvent.Kind.task
        @safe @exclusivity(unchecked) var connection: ConnectionID?
        /// The runner that was parked before this one, while it is parked.
        @safe @exclusivity(unchecked) var before: Runner?
        /// Counts the handlers. The runner may have ended one and begun another before the starter of the first checks
        /// it again, when the first has resumed a handler that others are queued behind.
        @safe @exclusivity(unchecked) var turn = 0
        /// Called when a handler ends for which `start` has returned this runner.
        @safe @exclusivity(unchecked) var whenLate: (() -> Void)?
        @safe @exclusivity(unchecked) var first: Resumption?
        /// The message that was lent to its task.
        @safe @exclusivity(unchecked) var message: Uncounted<MessageBytes>?
        /// The request whose handler runs, and the object that the handler got, until its end is reported.
        @safe @exclusivity(unchecked) var request: Request?
        @safe @exclusivity(unchecked) var object: AnyObject?
        /// The handler of that request, or of the one before in the same task, until that is parked.
        @safe @exclusivity(unchecked) var function: AsyncHandler?
        /// What the task of a handler of requests was given, to go on with.
        enum Given { case nothing, sameHandler, otherHandler }
        @safe @exclusivity(unchecked) var given = Given.nothing
        @inline(__always) var isGiven: Bool { given != .nothing }
        @safe @exclusivity(unchecked) var continuation: UnsafeContinuation<Resumption, Never>?
        @safe @exclusivity(unchecked) var isDone = false
        @safe @exclusivity(unchecked) var isLate = false
        @safe @exclusivity(unchecked) var task: Task<Void, Never>?
        /// Whether the first handler of a new task was cancelled before it has suspended.
        @safe @exclusivity(unchecked) var isCancelledEarly = false
        /// The task, once it has begun.
        @safe @exclusivity(unchecked) var name = CurrentTask(name: 0)

        /// Whether others use its task again.
        let isReused: Bool

        /// - Parameter isReused: false for a handler that runs inside of another task, whose task-local values it has.
        init(isReused: Bool = true) { self.isReused = isReused }

        /// The thread of the loop, which made the runner: to ask the executor would count a reference for each message.
        private let thread = pthread_self()

        /// Whether the calling thread is the loop's.
        @inline(__always) var isHere: Bool { pthread_self() == thread }

        /// Set when the task is cancelled: to ask the runtime takes a locked instruction for each message.
        private let cancellation = Atomic(false)

        /// Whether the task is cancelled.
        var isCancelled: Bool { cancellation.load(ordering: .relaxed) }

        func noteCancellation() { cancellation.store(true, ordering: .relaxed) }

        /// Whether the caller is the runner's own task, and not a child of it or another one.
        var isCurrent: Bool { name.isKnown && CurrentTask() == name }

        /// Keeps what the handler of a request gets. Returns whether the one before had the same handler.
        @inline(__always) @discardableResult func keep(
            _ function: AsyncHandler, _ request: consuming Request, _ object: consuming AnyObject
        ) -> Bool {
            connection = request.fd
            self.request = consume request
            self.object = consume object
            if self.function === function { return true }
            self.function = function
            return false
        }

        @inline(__always) func give(
            _ function: AsyncHandler, _ request: consuming Request, _ object: consuming AnyObject
        ) {
            given = keep(function, consume request, consume object) ? .sameHandler : .otherHandler
        }

        /// What is lent to the task of what was kept.
        @inline(__always) var arguments: LentArguments {
            unsafe LentArguments(request.unsafelyUnwrapped, object.unsafelyUnwrapped)
        }

        @inline(__always) var call: Resumption {
            switch unsafe function.unsafelyUnwrapped.form {
            case .handler(let call): .request(call, arguments)
            case .middleware(let call, let rest): .middleware(call, arguments, rest: rest)
            }
        }

        /// Cancels the handler that runs. Returns false while its task has not suspended for the first time: it is
        /// cancelled when it has.
        func cancel() -> Bool {
            task?.cancel()
            isCancelledEarly = task == nil
            return task != nil
        }

        /// The first handler of a new task. A parked task keeps nothing of it.
        func takeFirst() -> Resumption {
            name = CurrentTask()
            return unsafe first.take().unsafelyUnwrapped
        }
    }
}

extension Uncounted<HandlerRunners.Runner> {
    /// Gives a request to the task, which asks for one.
    @inline(__always) func give(
        _ function: HandlerRunners.AsyncHandler, _ request: consuming Request, _ object: consuming AnyObject
    ) {
        // A closure can take only what may be missing.
        var (request, object): (Request?, AnyObject?) = (consume request, consume object)
        with { unsafe $0.give(function, request.take().unsafelyUnwrapped, object.take().unsafelyUnwrapped) }
    }
}
