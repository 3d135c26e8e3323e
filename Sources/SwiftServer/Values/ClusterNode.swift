/// A server of a cluster.
public struct ClusterNode: Sendable, Hashable {
    /// A random number, which the server keeps until it is stopped: 16 hexadecimal digits.
    public let id: String
    /// Its ``Cluster/nodeName``.
    public let name: String
    /// The number of its connections a few seconds ago.
    public let connections: Int

    /// Reads what a gateway shows; `nil`: it is malformed.
    init?(_ member: TopicMember) {
        let parts = member.info.split(separator: " ", maxSplits: 1, omittingEmptySubsequences: false)
        guard parts.count == 2, let connections = Int(parts[0]) else { return nil }
        id = member.id
        name = String(parts[1])
        self.connections = connections
    }
}
