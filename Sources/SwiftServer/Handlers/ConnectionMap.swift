/// Values by connection: a dictionary for what is looked up with each message.
///
/// Clients do not choose ids, which count up, but they choose which connections stay open. So ids are spread by a
/// multiplier that nobody knows; the hash of a `Dictionary` would execute ten times as much. Collisions are resolved by
/// linear probing.
struct ConnectionMap<Value> {
    /// The ids by place, 0 where there is none. Their number is a power of two, or 0.
    private var ids: [UInt64] = []
    private var values: [Value?] = []
    private(set) var count = 0
    /// 64 minus the bits of a place.
    private var shift: UInt64 = 0
    private let multiplier = UInt64.random(in: 0...UInt64.max) | 1

    private static var smallest: Int { 16 }

    var isEmpty: Bool { count == 0 }

    /// The connections, in no order.
    var keys: [ConnectionID] { ids.compactMap { $0 == 0 ? nil : ConnectionID(rawValue: $0) } }

    subscript(_ id: ConnectionID) -> Value? {
        @inline(__always) get { count == 0 ? nil : values[place(of: id.rawValue)] }
        set {
            if let newValue { insert(id.rawValue, newValue) } else { remove(id.rawValue) }
        }
    }

    /// The place where an id is looked for first.
    @inline(__always) private func home(_ id: UInt64) -> Int {
        Int(truncatingIfNeeded: (id &* multiplier) &>> shift)
    }

    /// The place of an id, or the free one where it would be.
    @inline(__always) private func place(of id: UInt64) -> Int {
        var place = home(id)
        while ids[place] != id, ids[place] != 0 { place = (place &+ 1) & (ids.count &- 1) }
        return place
    }

    private mutating func insert(_ id: UInt64, _ value: Value) {
        precondition(id != 0, "0 is the id of no connection")
        // A quarter of the places stays free.
        if (count + 1) * 4 > ids.count * 3 { resize(max(ids.count * 2, ConnectionMap.smallest)) }
        let place = place(of: id)
        if ids[place] == 0 { count += 1 }
        ids[place] = id
        values[place] = value
    }

    private mutating func remove(_ id: UInt64) {
        guard count > 0 else { return }
        var hole = place(of: id)
        guard ids[hole] == id, id != 0 else { return }
        // Those behind it move up, unless that were before their home.
        let mask = ids.count - 1
        var next = (hole + 1) & mask
        while ids[next] != 0 {
            if (next &- home(ids[next])) & mask >= (next &- hole) & mask {
                ids[hole] = ids[next]
                values[hole] = values[next]
                hole = next
            }
            next = (next + 1) & mask
        }
        ids[hole] = 0
        values[hole] = nil
        count -= 1
        if ids.count > ConnectionMap.smallest, count * 8 < ids.count { resize(ids.count / 2) }
    }

    private mutating func resize(_ size: Int) {
        let (oldIDs, oldValues) = (ids, values)
        ids = Array(repeating: 0, count: size)
        values = Array(repeating: nil, count: size)
        shift = UInt64(64 - size.trailingZeroBitCount)
        for (id, value) in zip(oldIDs, oldValues) where id != 0 {
            let place = place(of: id)
            ids[place] = id
            values[place] = value
        }
    }
}
