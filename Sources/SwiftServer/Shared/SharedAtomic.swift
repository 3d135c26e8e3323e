internal import CReactor

/// A number that all processes of a server see and change.
///
/// Make it before ``Server/start()``: the processes that the server starts have it then. One that is made in a worker
/// belongs to that worker. Overflow wraps. It may be used by any thread of any process.
@safe public final class SharedAtomic: Sendable {
    private nonisolated(unsafe) let raw: OpaquePointer

    /// - Throws: ``SharedMemoryError`` when the system refuses the memory.
    public init(_ value: Int = 0) throws(SharedMemoryError) {
        let inherited = try SharedInheritance.next()
        unsafe raw = try unsafe Shared.made("shared atomic") {
            if let inherited {
                unsafe cre_shared_atomic_attach(inherited, &$0)
            } else {
                unsafe cre_shared_atomic_create(Int64(value), &$0)
            }
        }
        SharedInheritance.note(descriptor)
    }

    /// The one that a program had which has executed this one, by the descriptor that it passed on. The descriptor
    /// belongs to the atomic then.
    public init(descriptor: Int32) throws(SharedMemoryError) {
        unsafe raw = try unsafe Shared.made("shared atomic") { unsafe cre_shared_atomic_attach(descriptor, &$0) }
    }

    deinit {
        SharedInheritance.forget(descriptor)
        unsafe cre_shared_atomic_destroy(raw)
    }

    /// Its descriptor, which is closed when a program is executed unless you clear `FD_CLOEXEC`.
    public var descriptor: Int32 { unsafe cre_shared_atomic_descriptor(raw) }

    /// The value.
    public func load() -> Int { unsafe Int(cre_shared_atomic_load(raw)) }

    /// Sets the value.
    public func store(_ value: Int) { unsafe cre_shared_atomic_store(raw, Int64(value)) }

    /// Adds, and returns the sum.
    @discardableResult public func add(_ value: Int = 1) -> Int { unsafe Int(cre_shared_atomic_add(raw, Int64(value))) }

    /// Subtracts, and returns the difference.
    @discardableResult public func subtract(_ value: Int = 1) -> Int { add(0 &- value) }

    /// Sets the value, and returns the one before.
    @discardableResult public func exchange(_ value: Int) -> Int {
        unsafe Int(cre_shared_atomic_exchange(raw, Int64(value)))
    }

    /// Sets the value to `desired` if it is `expected`. Returns the one before: `expected`, when it was set.
    @discardableResult public func compareExchange(expected: Int, desired: Int) -> Int {
        unsafe Int(cre_shared_atomic_compare_exchange(raw, Int64(expected), Int64(desired)))
    }

    /// Blocks the thread while the value is `value`: for threads of your own, and programs that do nothing else. A
    /// worker's handlers must not wait; they would keep all of its connections waiting.
    ///
    /// Whoever changes the value calls ``wake(_:)``.
    ///
    /// - Parameters:
    ///   - value: what it is waited for to change.
    ///   - timeout: how long at most; `nil`: for ever.
    /// - Returns: whether the value is another one; false when the time is over.
    @available(*, noasync, message: "it blocks the thread")
    public func wait(while value: Int, timeout: Duration? = nil) -> Bool {
        unsafe cre_shared_atomic_wait(raw, Int64(value), timeout.timeoutMilliseconds) == 0
    }

    /// Has up to `count` of those that wait look at the value again. Returns how many.
    @discardableResult public func wake(_ count: Int = 1) -> Int {
        unsafe Int(cre_shared_atomic_wake(raw, Int32(clamping: count)))
    }
}
