internal import CReactor

/// The ids of all connections of the server, those of all workers and also plain HTTP ones. Iterating is safe while
/// connections open and close: one that stays open is seen once.
public struct Connections: Sequence, Sendable {
    let bus: Bus?

    /// The number of connections now.
    public var count: Int { bus.map { Int(unsafe cre_table_count($0.table)) } ?? 0 }

    /// Whether this connection exists now.
    public func contains(_ id: ConnectionID) -> Bool { bus?.exists(id) ?? false }

    /// Returns at most `limit` connections behind `cursor`, which is 0 at first, and moves it; empty: there are no
    /// more.
    func page(after cursor: inout UInt32, limit: Int) -> [ConnectionID] {
        guard let bus, limit > 0 else { return [] }
        let page = unsafe [UInt64](unsafeUninitializedCapacity: limit) { buffer, count in
            count = unsafe cre_table_list(bus.table, &cursor, buffer.baseAddress, buffer.count)
        }
        return page.map { ConnectionID(rawValue: $0) }
    }

    /// Starts a new walk.
    public func makeIterator() -> Iterator { Iterator(bus: bus) }

    /// One walk over the connections.
    public struct Iterator: IteratorProtocol, Sendable {
        let bus: Bus?
        private var cursor: UInt32 = 0
        private var page: [UInt64] = []
        private var position = 0

        init(bus: Bus?) { self.bus = bus }

        /// The next connection, `nil` at the end.
        public mutating func next() -> ConnectionID? {
            if position == page.count {
                guard let bus else { return nil }
                page = unsafe [UInt64](unsafeUninitializedCapacity: 256) { buffer, count in
                    count = unsafe cre_table_list(bus.table, &cursor, buffer.baseAddress, buffer.count)
                }
                position = 0
                if page.isEmpty { return nil }
            }
            defer { position += 1 }
            return ConnectionID(rawValue: page[position])
        }
    }
}
