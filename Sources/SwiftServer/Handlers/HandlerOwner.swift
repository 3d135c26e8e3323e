/// The server that handlers receive, as the class that registered them.
///
/// The reference is not counted: handlers run inside the server's `start()`, so it outlives them, and a counted one
/// would be a cycle.
@safe struct HandlerOwner<Object: AnyObject & Sendable>: Sendable {
    private let reference: Unmanaged<Object>

    init(_ object: Object) { unsafe reference = .passUnretained(object) }

    /// The server as any object.
    var erased: Uncounted<AnyObject> { Uncounted(object) }

    /// The server, counted: for asynchronous handlers.
    var object: Object { unsafe reference.takeUnretainedValue() }

    /// Calls `body` with the server, without counting.
    @inline(__always) func with(_ body: (Object) -> Void) { unsafe reference._withUnsafeGuaranteedRef { body($0) } }
}
