internal import CReactor

// MARK: - Reading

extension SharedTable {
    /// A copy of the row with this key, `nil` when there is none.
    public subscript(_ key: String) -> Row? {
        var found: Int32 = 0
        let words = unsafe [UInt64](unsafeUninitializedCapacity: rowWords) { buffer, count in
            found = unsafe SharedTable.withBytes(of: key) { bytes in
                unsafe cre_shared_table_get(raw, bytes.baseAddress, bytes.count, buffer.baseAddress)
            }
            count = found == 0 ? rowWords : 0
        }
        return found == 0 ? Row(self, words, isNew: false) : nil
    }

    /// The value of one column of the row with this key, `nil` when there is no such row. The column must be one of the
    /// table's.
    public subscript<Value>(_ key: String, _ column: SharedColumn<Value>) -> Value? { self[key]?[column] }

    /// Whether there is a row with this key.
    public func contains(_ key: String) -> Bool {
        unsafe SharedTable.withBytes(of: key) { unsafe cre_shared_table_get(raw, $0.baseAddress, $0.count, nil) } == 0
    }

    private static func withBytes<Result>(of key: String, _ body: (UnsafeRawBufferPointer) -> Result) -> Result {
        var key = key
        return key.withUTF8 { unsafe body(UnsafeRawBufferPointer($0)) }
    }
}

// MARK: - Changing

extension SharedTable {
    /// Sets these columns, and leaves the others of the row as they are. A row that is not there is inserted; its other
    /// columns are zero or empty.
    ///
    /// - Throws: ``SharedMemoryError``; the table is as it was then.
    public func set(_ key: String, _ values: SharedAssignment...) throws(SharedMemoryError) {
        try edit(key, insert: true) { row in
            for value in values { row.assign(value) }
            return CRE_SHARED_STORE
        }
    }

    /// Inserts a row, unless there is one with this key. The other columns are zero or empty.
    ///
    /// - Returns: whether it was inserted; false when there is one, which is as it was.
    /// - Throws: ``SharedMemoryError``; the table is as it was then.
    @discardableResult
    public func insert(_ key: String, _ values: SharedAssignment...) throws(SharedMemoryError) -> Bool {
        var isNew = false
        try edit(key, insert: true) { row in
            isNew = row.isNew
            guard isNew else { return CRE_SHARED_KEEP }
            for value in values { row.assign(value) }
            return CRE_SHARED_STORE
        }
        return isNew
    }

    /// Changes a row by a closure, during which nobody else can change it; what is decided there is atomic.
    ///
    /// The closure must be short, since others may wait. It may read tables, but change none but this row. It should
    /// not print or log either: a process that is stopped there keeps the others from changing this row.
    ///
    /// - Parameters:
    ///   - key: the row's.
    ///   - insert: whether to insert a row that is not there: see ``Row/isNew``.
    ///   - body: gets a copy of the row, which is stored when it returns. When it throws, nothing is changed.
    /// - Returns: what `body` returned, or `nil` when there is no such row.
    /// - Throws: ``SharedMemoryError``, or what `body` threw; the table is as it was then.
    @discardableResult
    public func update<Result>(
        _ key: String, insert: Bool = false, _ body: (inout Row) throws -> Result
    ) throws -> Result? {
        var outcome: Swift.Result<Result, any Error>?
        try edit(key, insert: insert) { row in
            do {
                outcome = .success(try body(&row))
                return CRE_SHARED_STORE
            } catch {
                outcome = .failure(error)
                return CRE_SHARED_KEEP
            }
        }
        return try outcome?.get()
    }

    /// Deletes a row, if it meets a condition, which is decided while nobody else can change it.
    ///
    /// - Returns: the row that was deleted; `nil` when there is none, or it does not meet the condition.
    /// - Throws: ``SharedMemoryError`` with the code `nested`, within ``update(_:insert:_:)`` or such a condition.
    @discardableResult
    public func remove(_ key: String, if condition: (Row) -> Bool = { _ in true }) throws(SharedMemoryError) -> Row? {
        var removed: Row?
        do throws(SharedMemoryError) {
            try edit(key, insert: false) { row in
                guard condition(row) else { return CRE_SHARED_KEEP }
                removed = row
                return CRE_SHARED_DELETE
            }
        } catch  where error.code != .invalidKey {
            throw error
        } catch {}
        return removed
    }

    /// Adds to a column, and returns the sum. A row that is not there is inserted, and begins with zero. Overflow
    /// wraps.
    ///
    /// - Throws: ``SharedMemoryError``; the table is as it was then.
    @discardableResult
    public func increment(
        _ key: String, _ column: SharedColumn<Int>, by amount: Int = 1
    ) throws(SharedMemoryError) -> Int {
        var sum: Int64 = 0
        try check(
            unsafe SharedTable.withBytes(of: key) {
                unsafe cre_shared_table_add(
                    raw, $0.baseAddress, $0.count, index(of: column.name, .integer) ?? .max, Int64(amount), &sum)
            }, column.name)
        return Int(sum)
    }

    /// Adds to a column, and returns the sum. A row that is not there is inserted, and begins with zero.
    ///
    /// - Throws: ``SharedMemoryError``; the table is as it was then.
    @discardableResult
    public func increment(
        _ key: String, _ column: SharedColumn<Double>, by amount: Double
    ) throws(SharedMemoryError) -> Double {
        var sum = 0.0
        try check(
            unsafe SharedTable.withBytes(of: key) {
                unsafe cre_shared_table_add_double(
                    raw, $0.baseAddress, $0.count, index(of: column.name, .real) ?? .max, amount, &sum)
            }, column.name)
        return sum
    }

    /// Subtracts from a column, and returns the difference; otherwise like `increment`.
    @discardableResult
    public func decrement(
        _ key: String, _ column: SharedColumn<Int>, by amount: Int = 1
    ) throws(SharedMemoryError) -> Int {
        try increment(key, column, by: 0 &- amount)
    }

    private func check(_ result: Int32, _ column: String) throws(SharedMemoryError) {
        if result != 0 {
            throw SharedMemoryError(result, result == CRE_ESHARED_COLUMN.rawValue ? "\"\(column)\"" : "")
        }
    }

    /// What the C callback below works with.
    private struct Edit {
        let table: SharedTable
        let body: (inout Row) -> cre_shared_verdict
        var failure: SharedMemoryError?
    }

    private func edit(
        _ key: String, insert: Bool, _ body: (inout Row) -> cre_shared_verdict
    ) throws(SharedMemoryError) {
        let (result, failure) = withoutActuallyEscaping(body) { body in
            var edit = Edit(table: self, body: body)
            let result = unsafe withUnsafeMutablePointer(to: &edit) { edit in
                unsafe SharedTable.withBytes(of: key) { key in
                    unsafe cre_shared_table_edit(
                        raw, key.baseAddress, key.count, insert,
                        { context, words, exists in unsafe SharedTable.carryOut(context!, words!, exists) }, edit)
                }
            }
            return (result, edit.failure)
        }
        if let failure { throw failure }
        if result != 0, result != CRE_ESHARED_NO_ROW.rawValue { throw SharedMemoryError(result) }
    }

    private static func carryOut(
        _ context: UnsafeMutableRawPointer, _ words: UnsafeMutablePointer<UInt64>, _ exists: Bool
    ) -> Int32 {
        let edit = unsafe context.assumingMemoryBound(to: Edit.self)
        let table = unsafe edit.pointee.table
        var row = unsafe Row(
            table, Array(UnsafeBufferPointer(start: words, count: table.rowWords)), isNew: !exists)
        let verdict = unsafe edit.pointee.body(&row)
        guard verdict == CRE_SHARED_STORE else { return Int32(verdict.rawValue) }
        if let failure = row.failure {
            unsafe edit.pointee.failure = failure
            return Int32(CRE_SHARED_KEEP.rawValue)
        }
        unsafe words.update(from: row.words, count: table.rowWords)
        return Int32(verdict.rawValue)
    }
}

// MARK: - All rows

extension SharedTable: Sequence {
    /// Goes through a table. Each row that is there all the time is seen once, and whole; rows that are inserted
    /// meanwhile are not seen, rows that are deleted may be. No key is seen twice. The table may be changed meanwhile,
    /// also by whoever goes through it.
    public struct Iterator: IteratorProtocol, Sendable {
        private let table: SharedTable
        private var cursor = cre_shared_cursor()

        fileprivate init(_ table: SharedTable) { self.table = table }

        /// The next row and its key, `nil` at the end.
        public mutating func next() -> (key: String, row: Row)? {
            var key = [UInt8](repeating: 0, count: Int(CRE_SHARED_KEY_MAX))
            var length = 0
            var words = [UInt64](repeating: 0, count: table.rowWords)
            guard unsafe cre_shared_table_next(table.raw, &cursor, &key, &length, &words) == 1 else { return nil }
            return (String(decoding: key[..<length], as: UTF8.self), Row(table, words, isNew: false))
        }
    }

    /// Goes through all rows, in no particular order.
    public func makeIterator() -> Iterator { Iterator(self) }
}
