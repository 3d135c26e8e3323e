internal import CReactor

/// Why shared memory could not be made, or a row not be changed.
public struct SharedMemoryError: Error, Sendable, CustomStringConvertible {
    /// What kind of error it is.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        let name: String

        /// The table has as many rows as it was made for.
        public static let full = Code(name: "full")
        /// Keys have 1 to 63 bytes.
        public static let invalidKey = Code(name: "invalidKey")
        /// The table has no column of this name and type.
        public static let noColumn = Code(name: "noColumn")
        /// A string or bytes are longer than their column.
        public static let valueTooLong = Code(name: "valueTooLong")
        /// A row was to be changed by the closure that changes another one.
        public static let nested = Code(name: "nested")
        /// A number of rows, a name or a size that cannot be.
        public static let invalid = Code(name: "invalid")
        /// The descriptor is not one of such a table, atomic or lock.
        public static let mismatch = Code(name: "mismatch")
        /// The system refused memory or a descriptor.
        public static let system = Code(name: "system")

        /// The name of the code.
        public var description: String { name }
    }

    /// What kind of error it is.
    public let code: Code
    /// One line for people.
    public let message: String

    /// Code and message.
    public var description: String { "\(code): \(message)" }

    init(code: Code, message: String) {
        self.code = code
        self.message = message
    }

    init(_ error: Int32, _ about: String = "") {
        code =
            switch error {
            case CRE_ESHARED_FULL.rawValue: .full
            case CRE_ESHARED_KEY.rawValue: .invalidKey
            case CRE_ESHARED_COLUMN.rawValue: .noColumn
            case CRE_ESHARED_TOO_LONG.rawValue: .valueTooLong
            case CRE_ESHARED_NESTED.rawValue: .nested
            case CRE_ESHARED_MISMATCH.rawValue: .mismatch
            case CRE_EINVALID.rawValue: .invalid
            default: .system
            }
        message = about.isEmpty ? errorText(error) : "\(about): \(errorText(error))"
    }
}

/// What the three kinds of shared memory have in common.
enum Shared {
    /// Passes on what was made, or the error as it is thrown. Tells when it was made too late to be shared.
    static func made(
        _ what: String, _ make: (inout OpaquePointer?) -> Int32
    ) throws(SharedMemoryError) -> OpaquePointer {
        var raw: OpaquePointer?
        let result = unsafe make(&raw)
        guard result == 0, let raw = unsafe raw else { throw SharedMemoryError(result, "making a \(what)") }
        if Master.isInUse {
            Log.warning("a \(what) that is made after start() belongs to this process alone; make it before")
        }
        return unsafe raw
    }
}

extension Duration? {
    /// As the C core wants it: negative is for ever.
    var timeoutMilliseconds: Int64 { map { max(0, $0.milliseconds) } ?? -1 }
}
