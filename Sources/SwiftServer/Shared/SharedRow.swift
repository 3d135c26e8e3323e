internal import CReactor

extension SharedTable {
    /// A copy of a row. Changing it changes the table only in ``SharedTable/update(_:insert:_:)``.
    public struct Row: Sendable {
        private let table: SharedTable
        /// Whether it was not in the table, in ``SharedTable/update(_:insert:_:)``. All its columns are zero or empty
        /// then.
        public let isNew: Bool
        var words: [UInt64]
        /// Why it cannot be stored.
        private(set) var failure: SharedMemoryError?

        init(_ table: SharedTable, _ words: [UInt64], isNew: Bool) {
            self.table = table
            self.words = words
            self.isNew = isNew
        }

        /// The value of a column, which must be one of the table's. A value that is longer than its column is not
        /// taken, and has the update fail.
        public subscript<Value>(_ column: SharedColumn<Value>) -> Value {
            get {
                guard let index = table.index(of: column.name, Value.sharedKind) else {
                    preconditionFailure("the shared table has no column \"\(column.name)\" of type \(Value.self)")
                }
                return Value(sharedCell: cell(index, Value.sharedKind))
            }
            set { assign(column.to(newValue)) }
        }

        private func cell(_ index: UInt32, _ kind: SharedCell.Kind) -> SharedCell {
            switch kind {
            case .integer:
                var value: Int64 = 0
                _ = unsafe cre_shared_row_int(table.raw, words, index, &value)
                return .integer(value)
            case .real:
                var value = 0.0
                _ = unsafe cre_shared_row_double(table.raw, words, index, &value)
                return .real(value)
            case .bytes:
                return unsafe words.withUnsafeBufferPointer { words in
                    var bytes: UnsafePointer<UInt8>?
                    var length = 0
                    _ = unsafe cre_shared_row_bytes(table.raw, words.baseAddress, index, &bytes, &length)
                    return unsafe .bytes(Array(UnsafeBufferPointer(start: bytes, count: length)))
                }
            }
        }

        mutating func assign(_ assignment: SharedAssignment) {
            let result = store(assignment.cell, assignment.column)
            if result != 0, failure == nil { failure = SharedMemoryError(result, "\"\(assignment.column)\"") }
        }

        private mutating func store(_ cell: SharedCell, _ column: String) -> Int32 {
            guard let index = table.index(of: column, cell.kind) else { return CRE_ESHARED_COLUMN.rawValue }
            return switch cell {
            case .integer(let value): unsafe cre_shared_row_set_int(table.raw, &words, index, value)
            case .real(let value): unsafe cre_shared_row_set_double(table.raw, &words, index, value)
            case .bytes(let bytes): unsafe cre_shared_row_set_bytes(table.raw, &words, index, bytes, bytes.count)
            }
        }
    }
}

extension SharedCell {
    fileprivate var kind: Kind {
        switch self {
        case .integer: .integer
        case .real: .real
        case .bytes: .bytes
        }
    }
}
