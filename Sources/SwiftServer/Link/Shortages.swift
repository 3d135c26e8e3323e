internal import CReactor
internal import CReactorInternal

/// The connections of all processes that were lost for want of descriptors or memory, or because of the PROXY protocol,
/// or refused at a limit, since the start.
struct Shortages: Equatable {
    var refusedWithoutDescriptor = 0
    var refusedWithoutMemory = 0
    var closedWithoutMemory = 0
    var acceptPauses = 0
    var proxiesRefused = 0
    var proxyHeadersInvalid = 0
    /// Because of `maxConnections` or `maxConnectionsPerAddress`.
    var refusedAtLimit = 0

    init() {}

    init(_ bus: Bus) {
        var raw = cre_engine_stats()
        unsafe cre_bus_get_stats(bus.raw, &raw)
        refusedWithoutDescriptor = Int(truncatingIfNeeded: raw.out_of_descriptors)
        refusedWithoutMemory = Int(truncatingIfNeeded: raw.out_of_memory)
        closedWithoutMemory = unsafe withUnsafeBytes(of: &raw.closed_by) {
            let counts = unsafe $0.bindMemory(to: UInt64.self)
            return unsafe Int(truncatingIfNeeded: counts[Int(CRE_CLOSED_NOMEM.rawValue)])
        }
        acceptPauses = Int(truncatingIfNeeded: raw.accept_pauses)
        proxiesRefused = Int(truncatingIfNeeded: raw.proxies_refused)
        proxyHeadersInvalid = Int(truncatingIfNeeded: raw.proxy_headers_invalid)
        // The counters are not read at one moment.
        refusedAtLimit = max(
            0,
            Int(truncatingIfNeeded: raw.refused) &- refusedWithoutDescriptor &- refusedWithoutMemory &- proxiesRefused
                &- proxyHeadersInvalid)
    }

    static func - (now: Shortages, before: Shortages) -> Shortages {
        var difference = Shortages()
        difference.refusedWithoutDescriptor = now.refusedWithoutDescriptor &- before.refusedWithoutDescriptor
        difference.refusedWithoutMemory = now.refusedWithoutMemory &- before.refusedWithoutMemory
        difference.closedWithoutMemory = now.closedWithoutMemory &- before.closedWithoutMemory
        difference.acceptPauses = now.acceptPauses &- before.acceptPauses
        difference.proxiesRefused = now.proxiesRefused &- before.proxiesRefused
        difference.proxyHeadersInvalid = now.proxyHeadersInvalid &- before.proxyHeadersInvalid
        difference.refusedAtLimit = now.refusedAtLimit &- before.refusedAtLimit
        return difference
    }

    /// One line for each kind that occurred.
    var lines: [String] {
        var lines: [String] = []
        if refusedWithoutDescriptor > 0 {
            lines.append(
                """
                connections refused: \(refusedWithoutDescriptor), too many open files: raise the limit (ulimit -n, \
                LimitNOFILE) or lower maxConnections
                """)
        }
        if refusedWithoutMemory &+ closedWithoutMemory > 0 {
            lines.append(
                "out of memory: connections refused: \(refusedWithoutMemory), closed: \(closedWithoutMemory)")
        }
        if acceptPauses > 0 {
            lines.append(
                "cannot accept connections, for want of descriptors or memory: they wait (\(acceptPauses) pauses)")
        }
        if proxiesRefused > 0 {
            lines.append("connections refused: \(proxiesRefused), they are not from a source of proxyProtocol")
        }
        if proxyHeadersInvalid > 0 {
            lines.append("connections refused: \(proxyHeadersInvalid), they have no valid header of the PROXY protocol")
        }
        if refusedAtLimit > 0 {
            lines.append(
                "connections refused: \(refusedAtLimit), maxConnections or maxConnectionsPerAddress is reached")
        }
        return lines
    }
}
