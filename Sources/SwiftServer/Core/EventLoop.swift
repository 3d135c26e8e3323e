internal import CExecutorHook
internal import CReactor
internal import Glibc

/// The loop of this process's main thread: what `@MainActor` code and all handlers run on.
///
/// Made after the fork, in the process that runs it. A process that only serves has one for all its life; one in which
/// `start()` returns ends it with ``end()``.
@safe final class EventLoop: Sendable {
    /// The C loop. Used on its thread, except for the calls that say "any thread".
    nonisolated(unsafe) let raw: OpaquePointer
    let executor: LoopExecutor
    /// False when the C loop is destroyed. Calls from any thread hold it.
    private let isOpen = Lock(true)
    /// What watches call; on the loop's thread.
    nonisolated(unsafe) private var watches: [Callback] = []

    /// What runs before the loop ends; on the loop's thread.
    nonisolated(unsafe) private var endings: [() -> Void] = []

    private static let serving = Lock<EventLoop?>(nil)

    /// The loop of the server in this process, which is the main actor's executor; `nil` where no server runs. Any
    /// thread.
    static var ofServer: EventLoop? { serving.withLock { $0 } }

    /// Whether `@MainActor` work runs on this loop; on the loop's thread.
    nonisolated(unsafe) private var isMainActor = false

    /// Makes the loop, for the calling thread.
    init() throws(ServerError) {
        var loop: OpaquePointer?
        let result = unsafe cre_loop_create(&loop)
        guard result == 0, let loop = unsafe loop else { throw .system("making an event loop", result) }
        unsafe raw = loop
        executor = try unsafe LoopExecutor(loop: loop)
    }

    /// Runs the work that waits for the main actor. A process that is about to fork does so: its children would have a
    /// copy of that work each.
    static func runPendingWork() { ceh_main_queue_run_pending() }

    /// From here on `@MainActor` work runs on this loop: through the runtime's hook, and where there is none through
    /// the main dispatch queue, which the loop serves in any case so that `DispatchQueue.main` works too.
    ///
    /// - Parameter serves: whether it is the loop of a server, which ``ofServer`` returns up to its end.
    func becomeMainActor(serves: Bool = true) {
        if serves { EventLoop.serving.withLock { $0 = self } }
        unsafe isMainActor = true
        if unsafe getenv("SWIFTSERVER_NO_EXECUTOR_HOOK") == nil {
            let words = unsafe unsafeBitCast(executor.asUnownedSerialExecutor(), to: (UInt, UInt).self)
            _ = ceh_install_main_executor(words.0, words.1)
        }
        let descriptor = ceh_main_queue_descriptor()
        guard descriptor >= 0 else { return }
        watch(descriptor) { ceh_main_queue_run(descriptor) }
    }

    /// In a child process that runs no loop: `@MainActor` work no longer runs on the loop of the parent.
    static func resignMainActor() {
        serving.withLock { $0 = nil }
        ceh_restore_main_executor()
    }

    /// The time at which the current turn has begun, in milliseconds of the monotonic clock, modulo 2^32. On the
    /// loop's thread.
    @inline(__always) var milliseconds: UInt32 { UInt32(truncatingIfNeeded: unsafe cre_loop_now(raw)) }

    /// Runs until ``stop()``.
    func run() { unsafe cre_loop_run(raw) }

    /// Any thread.
    func stop() {
        isOpen.withLock { if $0 { unsafe cre_loop_stop(raw) } }
    }

    /// Gives the main actor its own executor back, with the jobs that are queued here, and frees the loop. Everything
    /// else that uses the loop must be closed before, and nothing may run it afterwards; what is posted is dropped.
    func end() {
        EventLoop.serving.withLock { if $0 === self { $0 = nil } }
        for ending in unsafe endings { ending() }
        unsafe endings = []
        if unsafe isMainActor { ceh_restore_main_executor() }
        executor.end()
        isOpen.withLock { $0 = false }
        unsafe cre_loop_destroy(raw)
        unsafe watches = []
    }

    /// Calls `ready` on the loop while `descriptor` is readable, for the life of the loop.
    func watch(_ descriptor: Int32, _ ready: @escaping () -> Void) {
        var watch: OpaquePointer?
        let callback = Callback(ready)
        let result = unsafe cre_watch_start(
            raw, descriptor, { context, _ in unsafe Callback.from(context).run() },
            Unmanaged.passUnretained(callback).toOpaque(), &watch)
        unsafe watches.append(callback)
        if result != 0 { Log.error("cannot watch descriptor \(descriptor): \(errorText(result))") }
    }

    /// Calls `body` at the beginning of ``end()``. On the loop's thread.
    func whenEnding(_ body: @escaping () -> Void) { unsafe endings.append(body) }

    /// Runs `work` on the loop soon. Any thread. Returns false after the loop has ended.
    @discardableResult
    func post(_ work: @escaping @Sendable () -> Void) -> Bool {
        isOpen.withLock { isOpen in
            guard isOpen else { return false }
            let box = unsafe Unmanaged.passRetained(Callback(work)).toOpaque()
            let result = unsafe cre_loop_post(
                raw, { context in unsafe Unmanaged<Callback>.fromOpaque(context!).takeRetainedValue().run() }, box)
            precondition(result == 0, "no memory to post to a loop")
            return true
        }
    }
}

/// A closure as a C callback's context.
private final class Callback {
    let run: () -> Void
    init(_ run: @escaping () -> Void) { self.run = run }

    static func from(_ context: UnsafeMutableRawPointer?) -> Callback {
        unsafe Unmanaged<Callback>.fromOpaque(context!).takeUnretainedValue()
    }
}
