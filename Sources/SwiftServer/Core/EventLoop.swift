internal import CExecutorHook
internal import CReactor
internal import Glibc

/// The loop of this process's main thread: what `@MainActor` code and all handlers run on.
///
/// Made after the fork, in the process that runs it; there is one for the life of the process.
@safe final class EventLoop: Sendable {
    /// The C loop. Used on its thread, except for the calls that say "any thread".
    nonisolated(unsafe) let raw: OpaquePointer
    let executor: LoopExecutor

    /// Makes the loop, for the calling thread, and has the Swift runtime use it as the main actor's executor.
    init() throws(ServerError) {
        var loop: OpaquePointer?
        let result = unsafe cre_loop_create(&loop)
        guard result == 0, let loop = unsafe loop else { throw .system("making an event loop", result) }
        unsafe raw = loop
        executor = try unsafe LoopExecutor(loop: loop)
    }

    /// From here on `@MainActor` work runs on this loop: through the runtime's hook, and where there is none through
    /// the main dispatch queue, which the loop serves in any case so that `DispatchQueue.main` works too.
    func becomeMainActor() {
        if unsafe getenv("SWIFTSERVER_NO_EXECUTOR_HOOK") == nil {
            let words = unsafe unsafeBitCast(executor.asUnownedSerialExecutor(), to: (UInt, UInt).self)
            _ = ceh_install_main_executor(words.0, words.1)
        }
        let descriptor = ceh_main_queue_descriptor()
        guard descriptor >= 0 else { return }
        watch(descriptor) { ceh_main_queue_run(descriptor) }
    }

    /// Runs until ``stop()``.
    func run() { unsafe cre_loop_run(raw) }

    /// Any thread.
    func stop() { unsafe cre_loop_stop(raw) }

    /// Calls `ready` on the loop while `descriptor` is readable, for the life of the loop.
    func watch(_ descriptor: Int32, _ ready: @escaping () -> Void) {
        var watch: OpaquePointer?
        let box = unsafe Unmanaged.passRetained(Callback(ready)).toOpaque()
        let result = unsafe cre_watch_start(
            raw, descriptor, { context, _ in unsafe Callback.from(context).run() }, box, &watch)
        if result != 0 { Log.error("cannot watch descriptor \(descriptor): \(errorText(result))") }
    }

    /// Runs `work` on the loop soon. Any thread.
    func post(_ work: @escaping @Sendable () -> Void) {
        let box = unsafe Unmanaged.passRetained(Callback(work)).toOpaque()
        let result = unsafe cre_loop_post(
            raw, { context in unsafe Unmanaged<Callback>.fromOpaque(context!).takeRetainedValue().run() }, box)
        precondition(result == 0, "no memory to post to a loop")
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
