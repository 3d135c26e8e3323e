/// A reference to an object that is not counted, for what is done with each message. Whoever has it keeps the object in
/// another way.
@safe struct Uncounted<Object: AnyObject> {
    private let reference: Unmanaged<Object>

    init(_ object: Object) { unsafe reference = .passUnretained(object) }

    /// A reference that is counted once, until ``release()``.
    init(retaining object: Object) { unsafe reference = .passRetained(object) }

    func release() { unsafe reference.release() }

    /// The object, counted.
    var object: Object { unsafe reference.takeUnretainedValue() }

    /// Whether it is this object.
    @inline(__always) func isSame(as other: borrowing Object?) -> Bool {
        unsafe reference.toOpaque() == unsafeBitCast(other, to: UnsafeMutableRawPointer?.self)
    }

    /// Calls `body` with the object, without counting.
    @inline(__always) func with<Result>(_ body: (Object) -> Result) -> Result {
        unsafe reference._withUnsafeGuaranteedRef { body($0) }
    }
}
