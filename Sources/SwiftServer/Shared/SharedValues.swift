internal import CReactor
internal import Glibc

/// The values of a server without a cluster, which its processes share.
@safe final class SharedValues: Sendable {
    private nonisolated(unsafe) let raw: OpaquePointer

    init() throws(SharedMemoryError) {
        let inherited = try SharedInheritance.next()
        unsafe raw = try unsafe Shared.made("room for values") {
            if let inherited {
                unsafe cre_shared_values_attach(inherited, CRE_SHARED_VALUES_MAX, &$0)
            } else {
                unsafe cre_shared_values_create(CRE_SHARED_VALUES_MAX, &$0)
            }
        }
        SharedInheritance.note(unsafe cre_shared_values_descriptor(raw))
    }

    deinit {
        SharedInheritance.forget(unsafe cre_shared_values_descriptor(raw))
        unsafe cre_shared_values_destroy(raw)
    }

    /// Carries out an operation. Any process, any thread.
    func apply(_ operation: ValueOperation) throws(ClusterError) -> ValueOutcome {
        let (result, bytes) = unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: Int(CRE_VALUE_MAX)) {
            buffer in
            var count = 0
            let result = unsafe operation.withRaw { operation in
                let now = UInt64(Request.milliseconds(CLOCK_MONOTONIC))
                return unsafe cre_shared_values_apply(raw, operation, now, buffer.baseAddress, &count)
            }
            return (result, unsafe [UInt8](buffer[..<count]))
        }
        if let error = ClusterError(value: result) { throw error }
        return ValueOutcome(isDone: result == 1, bytes: bytes)
    }
}

extension ValueOperation {
    /// Calls `body` with the operation as the C core takes it.
    func withRaw<Result>(_ body: (UnsafePointer<cre_value_operation>) -> Result) -> Result {
        var raw = unsafe cre_value_operation()
        var (value, expected): ([UInt8], [UInt8]) = ([], [])
        switch kind {
        case .get: unsafe raw.kind = CRE_VALUE_GET.rawValue
        case .set(let bytes):
            unsafe raw.kind = CRE_VALUE_SET.rawValue
            value = bytes
        case .remove: unsafe raw.kind = CRE_VALUE_REMOVE.rawValue
        case .add(let amount):
            unsafe raw.kind = CRE_VALUE_ADD.rawValue
            unsafe raw.amount = Int64(amount)
        }
        switch condition.kind {
        case .always: break
        case .absent: unsafe raw.condition = CRE_VALUE_IF_ABSENT.rawValue
        case .equal(let bytes):
            unsafe raw.condition = CRE_VALUE_IF_EQUAL.rawValue
            expected = bytes
        }
        // A lifetime of less than a millisecond is one, and a negative one is refused.
        if let lifetime {
            unsafe raw.lifetime_ms =
                lifetime <= .zero ? UInt64.max : UInt64(clamping: max(1, lifetime.milliseconds))
        }
        return unsafe key.withUnsafeBufferPointer { key in
            unsafe value.withUnsafeBufferPointer { value in
                unsafe expected.withUnsafeBufferPointer { expected in
                    unsafe raw.key = cre_slice(data: key.baseAddress, length: key.count)
                    unsafe raw.value = cre_slice(data: value.baseAddress, length: value.count)
                    unsafe raw.expected = cre_slice(data: expected.baseAddress, length: expected.count)
                    return unsafe withUnsafePointer(to: &raw) { unsafe body($0) }
                }
            }
        }
    }
}

extension ClusterError {
    /// The error of an operation on a value; `nil`: there is none.
    init?(value result: Int32) {
        switch result {
        case 0...: return nil
        case CRE_EINVALID.rawValue: self = .invalid
        case CRE_ELIMIT.rawValue: self = .tooLarge
        case CRE_EVALUE_NUMBER.rawValue: self = .notANumber
        case CRE_EVALUE_FULL.rawValue: self = .full
        default: self = .unavailable
        }
    }
}
