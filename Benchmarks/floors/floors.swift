// The least that Swift's runtime executes for a message that a handler gets in a task, without any server. `floors FORM
// N` handles N messages in one form; `./dev bench floors` counts the instructions of each. `floors TASKS N` resumes as
// many tasks in turn, and prints the CPU time of each message in nanoseconds.
import CExecutorHook
import Glibc

/// A loop without sockets: it runs the one job that is enqueued, on the thread of the program.
final class Loop: SerialExecutor, TaskExecutor, @unchecked Sendable {
    @exclusivity(unchecked) private var job: UnownedJob?

    func enqueue(_ job: consuming ExecutorJob) { self.job = UnownedJob(job) }
    func asUnownedSerialExecutor() -> UnownedSerialExecutor { UnownedSerialExecutor(ordinary: self) }
    func asUnownedTaskExecutor() -> UnownedTaskExecutor { UnownedTaskExecutor(ordinary: self) }
    func checkIsolated() {}
    func isIsolatingCurrentContext() -> Bool? { true }

    /// Runs what is enqueued. A job must be run for the executor that its task prefers, if that prefers any.
    @inline(__always) func drain(_ isPreferred: Bool = true) {
        while let job = job.take() {
            if isPreferred {
                job.runSynchronously(isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
            } else {
                job.runSynchronously(on: asUnownedSerialExecutor())
            }
        }
    }

    func becomeMainActor() {
        let words = unsafeBitCast(asUnownedSerialExecutor(), to: (UInt, UInt).self)
        guard ceh_install_main_executor(words.0, words.1) else { fatalError("this runtime has no hook") }
    }
}

/// Handles a message: one call of C.
@inline(never) @MainActor func handle(_ message: Int) { if getpid() == message { fatalError("no such message") } }

/// A handler, whose code the caller does not know.
final class Handlers: @unchecked Sendable {
    let plain: @MainActor (Int) -> Void
    let asynchronous: @MainActor (Int) async throws -> Void

    init(
        _ plain: @escaping @MainActor (Int) -> Void, _ asynchronous: @escaping @MainActor (Int) async throws -> Void
    ) {
        (self.plain, self.asynchronous) = (plain, asynchronous)
    }
}

/// Where a task waits for a message.
final class Inbox: @unchecked Sendable {
    @exclusivity(unchecked) private var parked: UnsafeContinuation<Int, Never>?

    @inline(__always) func take() async -> Int { await withUnsafeContinuation { parked = $0 } }
    @inline(__always) func give(_ message: Int) { parked.take()?.resume(returning: message) }

    /// Calls a handler for each message. With the same actor everywhere, the task looks whether it has to change
    /// actors only when the handler begins and ends.
    func serve(_ handlers: Handlers, on actor: isolated (any Actor)?) async {
        let park = { (continuation: UnsafeContinuation<Int, Never>) in self.parked = continuation }
        while true { try? await handlers.asynchronous(await withUnsafeContinuation(isolation: actor, park)) }
    }
}

/// Messages that are there already.
final class Batch: @unchecked Sendable {
    @exclusivity(unchecked) private var left: Int

    init(_ count: Int) { left = count }

    @inline(never) nonisolated(nonsending) func next() async -> Bool {
        left -= 1
        return left >= 0
    }
}

/// Calls a handler for each message of a batch, and does not go back to its actor between them: the next message is
/// taken by an asynchronous function that needs no actor.
@inline(never) nonisolated(nonsending) func serve(
    _ batch: Batch, _ handler: @escaping @MainActor (Int) async throws -> Void
) async throws {
    while await batch.next() { try await handler(0) }
}

@inline(never) func make() -> Handlers { Handlers({ handle($0) }, { handle($0) }) }

let arguments = CommandLine.arguments
guard arguments.count == 3, let count = Int(arguments[2]) else { fatalError("floors FORM N") }
let form = arguments[1]
let (loop, handlers, inbox) = (Loop(), make(), Inbox())
loop.becomeMainActor()

/// Gives N messages to tasks in turn, in an order that no cache foresees. Returns the CPU time of each.
@MainActor func resume(_ tasks: Int) -> Int {
    let inboxes = (0..<tasks).map { _ in Inbox() }
    for inbox in inboxes { start { while true { handle(await inbox.take()) } } }
    let begin = nanoseconds(CLOCK_PROCESS_CPUTIME_ID)
    for message in 0..<count {
        inboxes[message &* 7919 % tasks].give(0)
        loop.drain()
    }
    return (nanoseconds(CLOCK_PROCESS_CPUTIME_ID) - begin) / count
}

func nanoseconds(_ clock: clockid_t) -> Int {
    var time = timespec()
    clock_gettime(clock, &time)
    return time.tv_sec * 1_000_000_000 + time.tv_nsec
}

/// Starts the task of a form, which runs until it waits.
@MainActor func start(_ body: @escaping @MainActor @Sendable () async -> Void) {
    Task(executorPreference: loop, operation: body)
    loop.drain()
}

switch form {
case "callback":
    for _ in 0..<count { handlers.plain(0) }
case "async":
    // One task calls a handler for each message of a batch.
    start {
        for _ in 0..<count { try? await handlers.asynchronous(0) }
    }
case "async-in-place":
    // The same, without going back to its actor between them.
    start { try? await serve(Batch(count), handlers.asynchronous) }
case "async-without-preference":
    Task { for _ in 0..<count { try? await handlers.asynchronous(0) } }
    loop.drain(false)
case "resumed":
    // The task of a straight-line handler waits for each message.
    start {
        while true { handle(await inbox.take()) }
    }
    for _ in 0..<count {
        inbox.give(0)
        loop.drain()
    }
case "resumed-async":
    // A task that is used again waits for each message, and calls a handler for it.
    start { await inbox.serve(handlers, on: MainActor.shared) }
    for _ in 0..<count {
        inbox.give(0)
        loop.drain()
    }
case "task":
    // A new task calls a handler for each message.
    for _ in 0..<count { start { try? await handlers.asynchronous(0) } }
case let tasks where Int(tasks) != nil: print(resume(Int(tasks)!))
default: fatalError("no such form: \(form)")
}
