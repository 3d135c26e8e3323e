internal import CReactor
internal import Glibc

/// A lock between all processes of a server: one writer, or up to 64 readers at once.
///
/// Make it before ``Server/start()``: the processes that the server starts have it then. One that is made in a worker
/// belongs to that worker. It may be used by any thread of any process.
///
/// It is not lost with a process that dies while it has it: the next one gets it. If the dead one could write, what the
/// lock protects may be half changed; the closure `recovering` of the next call that has one is run first, alone.
///
/// Each call holds the lock while its closure runs, which cannot suspend. A thread that has the lock must not ask for
/// it again: that traps, or, when it reads and another one waits to write, waits for ever. In a worker's handlers what
/// is done under the lock must be short, as everything there must.
@safe public final class SharedLock: Sendable {
    private nonisolated(unsafe) let raw: OpaquePointer

    /// - Throws: ``SharedMemoryError`` when the system refuses the memory.
    public init() throws(SharedMemoryError) {
        let inherited = try SharedInheritance.next()
        unsafe raw = try unsafe Shared.made("shared lock") {
            if let inherited {
                unsafe cre_shared_lock_attach(inherited, &$0)
            } else {
                unsafe cre_shared_lock_create(&$0)
            }
        }
        SharedInheritance.note(unsafe cre_shared_lock_descriptor(raw))
    }

    /// The one that a program had which has executed this one, by the descriptor that it passed on. The descriptor
    /// belongs to the lock then.
    public init(descriptor: Int32) throws(SharedMemoryError) {
        unsafe raw = try unsafe Shared.made("shared lock") { unsafe cre_shared_lock_attach(descriptor, &$0) }
    }

    deinit {
        SharedInheritance.forget(unsafe cre_shared_lock_descriptor(raw))
        unsafe cre_shared_lock_destroy(raw)
    }

    /// Its descriptor, which is closed when a program is executed unless you clear `FD_CLOEXEC`.
    public var descriptor: Int32 { unsafe cre_shared_lock_descriptor(raw) }

    /// Runs `body` while nobody else has the lock, and waits for that as long as it takes.
    public func withLock<Result, Failure: Error>(
        recovering: (() -> Void)? = nil, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let hold = take(writing: true, nil, recovering)!
        defer { release(hold) }
        return try body()
    }

    /// Runs `body` while nobody else has the lock. Returns `nil`, and does not run it, when the lock was not to be had
    /// within `timeout`; with `.zero` it does not wait.
    public func withLock<Result, Failure: Error>(
        timeout: Duration, recovering: (() -> Void)? = nil, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard let hold = take(writing: true, timeout, recovering) else { return nil }
        defer { release(hold) }
        return try body()
    }

    /// Runs `body` while nobody writes, and waits for that as long as it takes.
    public func withReadLock<Result, Failure: Error>(
        recovering: (() -> Void)? = nil, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result {
        let hold = take(writing: false, nil, recovering)!
        defer { release(hold) }
        return try body()
    }

    /// Runs `body` while nobody writes. Returns `nil`, and does not run it, when the lock was not to be had within
    /// `timeout`; with `.zero` it does not wait.
    public func withReadLock<Result, Failure: Error>(
        timeout: Duration, recovering: (() -> Void)? = nil, _ body: () throws(Failure) -> Result
    ) throws(Failure) -> Result? {
        guard let hold = take(writing: false, timeout, recovering) else { return nil }
        defer { release(hold) }
        return try body()
    }

    /// Takes the lock, and has repaired what a dead writer left, if somebody can. `nil`: the time is over.
    private func take(writing: Bool, _ timeout: Duration?, _ recovering: (() -> Void)?) -> cre_shared_hold? {
        while true {
            var hold = cre_shared_hold()
            let milliseconds = timeout.timeoutMilliseconds
            let acquire = unsafe writing ? cre_shared_lock_write : cre_shared_lock_read
            let result = unsafe acquire(raw, milliseconds, &hold)
            switch result {
            case 0: break
            case -ETIMEDOUT: return nil
            default: preconditionFailure("a shared lock cannot be taken: \(errorText(result))")
            }
            guard hold.abandoned, let recovering else { return hold }
            if writing {
                recovering()
                return hold
            }
            // Who repairs must be alone.
            release(hold)
            guard let repairing = take(writing: true, timeout, recovering) else { return nil }
            release(repairing)
        }
    }

    private func release(_ hold: cre_shared_hold) {
        var hold = hold
        unsafe cre_shared_lock_release(raw, &hold)
    }
}
