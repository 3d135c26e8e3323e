internal import CReactor

/// An error of creating shared memory or changing a row.
public struct SharedMemoryError: Error, Sendable, CustomStringConvertible {
    /// The kind of an error.
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

    /// The kind of the error.
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
