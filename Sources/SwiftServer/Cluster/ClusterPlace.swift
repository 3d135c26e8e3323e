internal import CReactor
internal import CReactorInternal

/// A server's place in its cluster, as the C core takes it: the node of the gateway and the rules of topics.
@safe final class ClusterPlace: Sendable {
    /// Valid as long as this object, which lives as long as the processes that use it.
    nonisolated(unsafe) let raw: UnsafePointer<cre_cluster_place>
    private let rules: Int

    /// `nil` without a cluster and rules. Without a gateway there are only rules.
    init?(_ cluster: Cluster, gateway: Int?) {
        guard gateway != nil || !cluster.topics.isEmpty else { return nil }
        let users = gateway == nil ? [] : [(pattern: "\(CRE_TOPIC_USER)*", settings: cluster.users)]
        let ordered = users + cluster.topics.ordered
        let table = UnsafeMutablePointer<cre_topic_rule>.allocate(capacity: max(1, ordered.count))
        for (index, rule) in ordered.enumerated() {
            let settings = rule.settings
            unsafe (table + index).initialize(
                to: cre_topic_rule(
                    pattern: ClusterPlace.text(rule.pattern), history_count: UInt32(settings.history),
                    history_seconds: UInt32(settings.historyAge / .seconds(1)), local_first: settings.isLocalFirst,
                    enveloped: settings.isEnveloped))
        }
        let place = UnsafeMutablePointer<cre_cluster_place>.allocate(capacity: 1)
        unsafe place.initialize(
            to: cre_cluster_place(
                gateway: UInt32(gateway ?? 0), shards: UInt32(max(1, cluster.shardCount)), rules: UnsafePointer(table),
                rule_count: UInt32(ordered.count), local: !cluster.isEnabled))
        unsafe raw = UnsafePointer(place)
        rules = ordered.count
    }

    deinit {
        for index in 0..<rules { unsafe raw.pointee.rules[index].pattern.deallocate() }
        unsafe raw.pointee.rules.deallocate()
        unsafe raw.deallocate()
    }

    private static func text(_ text: String) -> UnsafePointer<CChar> {
        let bytes = Array(text.utf8) + [0]
        let copy = UnsafeMutablePointer<CChar>.allocate(capacity: bytes.count)
        for (index, byte) in bytes.enumerated() { unsafe copy[index] = CChar(bitPattern: byte) }
        return unsafe UnsafePointer(copy)
    }
}
