internal import Glibc
internal import Synchronization

/// The bytes of a message that is being delivered. They are borrowed from the link, and copied only if somebody needs
/// them longer, on another thread, or as an array.
@safe final class MessageBytes: @unchecked Sendable {
    // `@unchecked`: `borrowed` and `count` are written on the loop's thread and read there or under the lock; `copy` is
    // written under the lock, before `isCopied` says so, and never again while others have the object.
    @safe @exclusivity(unchecked) private var borrowed: UnsafeRawPointer?
    @safe @exclusivity(unchecked) private var size = 0
    @safe @exclusivity(unchecked) private var copy: [UInt8] = []
    private let isCopied = Atomic(false)
    private let thread = pthread_self()

    /// Held while a message is copied: by its loop, or by another thread that needs it before its loop does.
    private static let lock = Lock(())

    var count: Int { size }

    /// The bytes as they were received. Called on the loop's thread, when nobody else has the object.
    @inline(__always) fileprivate func lend(_ payload: UnsafeRawBufferPointer) {
        if isCopied.load(ordering: .relaxed) {
            copy = []
            isCopied.store(false, ordering: .relaxed)
        }
        borrowed = payload.baseAddress
        size = payload.count
    }

    /// What is borrowed is about to go. Whoever has the object keeps a copy.
    @inline(never) fileprivate func keep() {
        makeCopy()
        MessageBytes.lock.withLock { _ in borrowed = nil }
    }

    /// The bytes as an array, which is the same one each time.
    var array: [UInt8] {
        if !isCopied.load(ordering: .acquiring) { makeCopy() }
        return copy
    }

    @inline(never) private func makeCopy() {
        MessageBytes.lock.withLock { _ in
            guard !isCopied.load(ordering: .relaxed) else { return }
            copy = unsafe [UInt8](UnsafeRawBufferPointer(start: borrowed, count: borrowed == nil ? 0 : size))
            isCopied.store(true, ordering: .releasing)
        }
    }

    /// The bytes where they are, without a copy if that is possible. The pointer is valid in `body` only.
    @inline(__always)
    func withBytes<Result, Failure: Error>(
        _ body: (UnsafeRawBufferPointer) throws(Failure) -> Result
    ) throws(Failure) -> Result {
        if let bytes = unsafe borrowedBytes { return unsafe try body(bytes) }
        let bytes = array
        return unsafe try bytes.span.bytes.withUnsafeBytes(body)
    }

    /// The bytes while they are borrowed, on the loop's thread.
    @inline(__always) var borrowedBytes: UnsafeRawBufferPointer? {
        guard pthread_self() == thread, let start = borrowed else { return nil }
        return unsafe UnsafeRawBufferPointer(start: start, count: size)
    }
}

/// Lends the payloads of messages to their handlers, one after another, by an object that is used again unless somebody
/// has kept it.
@safe struct MessageMemory {
    private var last: MessageBytes?
    /// Whether a payload is lent that was not settled.
    private var isLent = false
    /// Whether ``last`` is in a frame that does not count it.
    private var isUncounted = false

    /// Lends a payload until ``settle()``, or until the next one is lent.
    @inline(__always) mutating func lend(_ payload: UnsafeRawBufferPointer) -> MessageBytes {
        unsafe lendUncounted(payload).object
    }

    /// Lends a payload to a ``LentFrame``, until ``takeBack(_:)``.
    @inline(__always) mutating func lendToFrame(_ payload: UnsafeRawBufferPointer) -> Uncounted<MessageBytes> {
        let message = unsafe lendUncounted(payload)
        isUncounted = true
        return message
    }

    @inline(__always) private mutating func lendUncounted(_ payload: UnsafeRawBufferPointer) -> Uncounted<MessageBytes>
    {
        if isLent { settle() }
        isLent = true
        let message = last.map { Uncounted($0) } ?? makeMessage()
        message.with { unsafe $0.lend(payload) }
        return message
    }

    @inline(never) private mutating func makeMessage() -> Uncounted<MessageBytes> {
        let message = MessageBytes()
        last = message
        return Uncounted(message)
    }

    /// Whether somebody still has the payload that was lent.
    var isShared: Bool {
        @inline(__always) mutating get { last != nil && (isUncounted || !isKnownUniquelyReferenced(&last)) }
    }

    /// The payload that was lent is about to go. Called on the loop's thread.
    @inline(__always) mutating func settle() {
        isLent = false
        if isShared { keep() }
    }

    /// As ``settle()``, when nobody uses the frame any more that the payload was lent to.
    @inline(__always) mutating func takeBack(_ message: Uncounted<MessageBytes>) {
        guard message.isSame(as: last) else { return message.release() }
        isUncounted = false
        settle()
    }

    @inline(never) private mutating func keep() {
        guard let message = last.take() else { return }
        message.keep()
        // The frame that does not count it is still used: `takeBack` releases it.
        if isUncounted { _ = Uncounted(retaining: message) }
        isUncounted = false
    }
}
