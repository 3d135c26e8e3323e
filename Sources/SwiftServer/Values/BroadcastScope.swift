/// Whose WebSockets a broadcast reaches.
public enum BroadcastScope: Sendable, Hashable {
    /// Those of this server.
    case server
    /// Those of all servers of the cluster, as by a topic without history to which all are subscribed; without a
    /// cluster those of this server.
    case cluster

    var audience: Audience { self == .server ? .everyone : .cluster }
}

/// Whom a message is for.
enum Audience: Sendable {
    case topic(String)
    /// The WebSockets of a user.
    case user(String)
    /// All WebSockets of this server.
    case everyone
    /// All WebSockets of all servers.
    case cluster
}
