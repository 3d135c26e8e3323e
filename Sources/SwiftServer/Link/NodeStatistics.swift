internal import CReactor
internal import CReactorInternal

/// What one process or reactor of a server has counted, its predecessors included.
struct NodeStatistics {
    let raw: cre_node_stats

    init(_ bus: Bus, node: Int) {
        var raw = cre_node_stats()
        unsafe cre_bus_get_node_stats(bus.raw, UInt32(node), &raw)
        self.raw = raw
    }

    /// The duration of the turns of the event loop.
    var turns: DurationCounts {
        unsafe withUnsafeBytes(of: raw.loop.turns_by_time) { unsafe DurationCounts($0, nanoseconds: raw.loop.work_ns) }
    }

    /// The duration of a sample of the calls of handlers, by their names; those that have counts.
    var handlers: [(name: String, durations: DurationCounts)] {
        unsafe withUnsafeBytes(of: raw.handlers) { all in
            let times = unsafe all.bindMemory(to: cre_handler_times.self)
            return times.indices.compactMap { index in
                guard let name = Activity(kind: UInt8(cre_handler_kind(UInt32(index))), session: 0).name else {
                    return nil
                }
                let durations = unsafe withUnsafeBytes(of: times[index].counts) {
                    unsafe DurationCounts($0, nanoseconds: times[index].sum_ns)
                }
                return durations.counts.contains { $0 > 0 } ? (name, durations) : nil
            }
        }
    }

    /// The closed connections by the number of ``CloseReason/Cause``.
    var closedBy: [UInt64] {
        unsafe withUnsafeBytes(of: raw.engine.closed_by) { unsafe [UInt64]($0.bindMemory(to: UInt64.self)) }
    }
}

/// How often something took how long.
struct DurationCounts {
    /// The counts by class, in the order of ``limits``.
    let counts: [UInt64]
    /// The time of all together.
    let seconds: Double

    init(counts: [UInt64], seconds: Double) {
        self.counts = counts
        self.seconds = seconds
    }

    fileprivate init(_ counts: UnsafeRawBufferPointer, nanoseconds: UInt64) {
        self.counts = unsafe [UInt64](counts.bindMemory(to: UInt64.self))
        seconds = Double(nanoseconds) / 1e9
    }

    /// The largest duration of each class in seconds; the last one has no limit.
    static let limits: [Double] = (0..<UInt32(CRE_TIME_CLASSES)).map { index in
        let limit = cre_time_limit(index)
        return limit == UInt64.max ? .infinity : Double(limit) / 1e9
    }
}

/// What is counted of a process by the one that starts and watches it.
enum ProcessEvent {
    case start, failure
    /// Of the manager.
    case reloadBegun, reloadEnded, reloadAborted

    fileprivate var raw: cre_bus_counter {
        switch self {
        case .start: CRE_COUNT_STARTS
        case .failure: CRE_COUNT_FAILURES
        case .reloadBegun: CRE_COUNT_RELOADS_BEGUN
        case .reloadEnded: CRE_COUNT_RELOADS_ENDED
        case .reloadAborted: CRE_COUNT_RELOADS_ABORTED
        }
    }
}

extension Bus {
    func count(_ event: ProcessEvent, node: Int) { unsafe cre_bus_count(raw, UInt32(node), event.raw) }

    /// How often it has happened, predecessors of the process included.
    func counted(_ event: ProcessEvent, node: Int) -> UInt64 {
        unsafe cre_bus_counted(raw, UInt32(node), event.raw)
    }

    /// Whether the manager, the process of `node`, is replacing processes for a reload.
    func isReloading(manager node: Int) -> Bool {
        let over = counted(.reloadEnded, node: node) &+ counted(.reloadAborted, node: node)
        return counted(.reloadBegun, node: node) != over
    }

    /// The connections by port and ``cre_connection_state``.
    func connectionsByPort(_ ports: Int) -> [[Int]] {
        let states = Int(CRE_CONNECTION_STATES)
        var counts = [UInt32](repeating: 0, count: ports * states)
        unsafe counts.withUnsafeMutableBytes {
            typealias States = (UInt32, UInt32, UInt32, UInt32, UInt32)
            unsafe cre_table_count_by_port(table, $0.bindMemory(to: States.self).baseAddress, UInt16(ports))
        }
        return (0..<ports).map { port in counts[(port * states)..<((port + 1) * states)].map { Int($0) } }
    }
}
