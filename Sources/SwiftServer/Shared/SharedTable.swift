internal import CReactor
internal import Glibc

/// A table in memory that all processes of a server share: rows of typed columns, found by a key.
///
/// ```swift
/// let visits = SharedColumn<Int>("visits")
/// let name = SharedColumn<String>("name", size: 32)
/// let users = try SharedTable(rows: 1024, columns: visits, name)     // before start()
///
/// try users.set("alice", visits.to(1), name.to("Alice"))            // in any worker
/// try users.increment("alice", visits)
/// users["alice", visits]                                            // 2, in any other
/// ```
///
/// Make it before ``Server/start()``: the processes that the server starts have it then. One that is made in a worker
/// belongs to that worker. It has a fixed size and never takes more memory. It may be used by any thread of any
/// process.
///
/// Each call is atomic for its row. Readers wait for nobody, and see each row whole. A process that dies while it
/// changes a row leaves it as it was before, or as it was to be.
@safe public final class SharedTable: Sendable {
    struct Definition: Sendable, Hashable {
        let name: String
        let kind: SharedCell.Kind
        let size: Int
    }

    nonisolated(unsafe) let raw: OpaquePointer
    private let definitions: [Definition]
    /// How many rows it takes.
    public let capacity: Int
    let rowWords: Int

    /// - Parameters:
    ///   - rows: the exact number of rows it takes, up to 67,108,864.
    ///   - columns: 1 to 64, with different names, of at most 64 KiB together.
    /// - Throws: ``SharedMemoryError``, when rows or columns cannot be, or the system refuses the memory.
    public convenience init<each Value: SharedValue>(
        rows: Int, columns: repeat SharedColumn<each Value>
    ) throws(SharedMemoryError) {
        var definitions: [Definition] = []
        repeat definitions.append((each columns).definition)
        try self.init(rows, definitions, try SharedInheritance.next())
        SharedInheritance.note(descriptor)
    }

    /// The one that a program had which has executed this one, by the descriptor that it passed on. The descriptor
    /// belongs to the table then.
    ///
    /// - Throws: ``SharedMemoryError``, with the code `mismatch` when its rows or columns are not these.
    public convenience init<each Value: SharedValue>(
        descriptor: Int32, rows: Int, columns: repeat SharedColumn<each Value>
    ) throws(SharedMemoryError) {
        var definitions: [Definition] = []
        repeat definitions.append((each columns).definition)
        try self.init(rows, definitions, descriptor)
    }

    private init(_ rows: Int, _ definitions: [Definition], _ descriptor: Int32?) throws(SharedMemoryError) {
        let names = unsafe definitions.map { unsafe strdup($0.name) }
        defer { for index in unsafe names.indices { unsafe free(names[index]) } }
        let columns = unsafe definitions.indices.map { index in
            unsafe cre_column(
                name: names[index], type: definitions[index].kind.type,
                size: UInt32(clamping: definitions[index].size))
        }
        let rows = UInt32(clamping: rows)
        unsafe raw = try unsafe Shared.made("shared table") { raw in
            if let descriptor {
                unsafe cre_shared_table_attach(descriptor, rows, columns, columns.count, &raw)
            } else {
                unsafe cre_shared_table_create(rows, columns, columns.count, &raw)
            }
        }
        self.definitions = definitions
        capacity = Int(rows)
        rowWords = unsafe cre_shared_table_row_words(raw)
    }

    deinit {
        SharedInheritance.forget(descriptor)
        unsafe cre_shared_table_destroy(raw)
    }

    /// Its descriptor, which is closed when a program is executed unless you clear `FD_CLOEXEC`.
    public var descriptor: Int32 { unsafe cre_shared_table_descriptor(raw) }

    /// How many rows there are.
    public var count: Int { unsafe Int(cre_shared_table_count(raw)) }

    /// Whether there are none.
    public var isEmpty: Bool { count == 0 }

    /// What has happened in a table, and what it takes.
    public struct Statistics: Sendable, Hashable {
        /// Rows inserted, since it was made.
        public let inserted: Int
        /// Changes of rows that were there.
        public let updated: Int
        /// Rows deleted.
        public let deleted: Int
        /// Locks that were taken over from processes that died with them.
        public let repaired: Int
        /// Bytes of memory, at most: pages that were never used take none.
        public let memory: Int
    }

    /// Counters of all processes, and the size.
    public var statistics: Statistics {
        var stats = cre_shared_table_stats()
        unsafe cre_shared_table_get_stats(raw, &stats, MemoryLayout<cre_shared_table_stats>.size)
        return Statistics(
            inserted: Int(stats.inserted), updated: Int(stats.updated), deleted: Int(stats.deleted),
            repaired: Int(stats.repaired), memory: Int(stats.memory))
    }

    /// The number of a column, if it is one of this table's.
    func index(of column: String, _ kind: SharedCell.Kind) -> UInt32? {
        definitions.firstIndex { $0.name == column && $0.kind == kind }.map { UInt32($0) }
    }
}

extension SharedCell.Kind {
    fileprivate var type: cre_column_type {
        switch self {
        case .integer: CRE_COLUMN_INT
        case .real: CRE_COLUMN_DOUBLE
        case .bytes: CRE_COLUMN_BYTES
        }
    }
}
