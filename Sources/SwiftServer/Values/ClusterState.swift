/// The state of a server's connections with its cluster.
public enum ClusterState: String, Sendable, Hashable {
    /// There is no cluster.
    case none
    /// All connections are established.
    case connected
    /// Some shards cannot be reached: their topics wait, the others do not.
    case partial
    /// No shard can be reached. Published messages wait, up to `maxQueue` of the cluster.
    case lost
}
