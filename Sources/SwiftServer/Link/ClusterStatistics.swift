internal import CReactor
internal import CReactorInternal

/// The numbers of a server's part of its cluster.
public struct ClusterStatistics: Sendable, Hashable {
    /// Messages of this server that the cluster has accepted.
    public let published: UInt64
    /// Messages of this server that the cluster has not accepted: its queue was full, or it refused them, or, without a
    /// history, the connection was lost before the reply.
    public let dropped: UInt64
    /// Messages of topics that have subscribers here, of all servers.
    public let received: UInt64
    /// Messages that were not handed to a process of this server, since it had no room.
    public let skipped: UInt64
    /// Received messages in a format that is not this server's.
    public let invalid: UInt64
    /// Gaps in topics with a history that could not be filled.
    public let lost: UInt64
    /// Connections that were established.
    public let connects: UInt64
    /// Connections and attempts to connect that failed.
    public let failures: UInt64
    /// The shards with a connection now.
    public let connectedShards: Int
    /// All shards.
    public let shards: Int
    /// The topics with subscribers now.
    public let topics: Int
    /// The bytes of messages that wait for the cluster's reply now.
    public let queuedBytes: Int
    /// The members of topics on this server; a member of several topics counts once for each topic.
    public let members: Int
    /// Questions of this server's processes to the cluster: for members, positions, missed messages and values.
    public let questions: UInt64
    /// Of these: those that were answered with an error.
    public let failedQuestions: UInt64
    /// The questions that wait for the cluster now.
    public let openQuestions: Int

    var state: ClusterState {
        guard connectedShards > 0 else { return .lost }
        return connectedShards < shards ? .partial : .connected
    }

    init(_ bus: Bus) {
        var raw = cre_cluster_stats()
        unsafe cre_bus_get_cluster_stats(bus.raw, &raw)
        published = raw.published
        dropped = raw.dropped
        received = raw.received
        skipped = raw.skipped
        invalid = raw.invalid
        lost = raw.lost
        connects = raw.connects
        failures = raw.breaks
        connectedShards = Int(clamping: raw.connected)
        shards = Int(clamping: raw.shards)
        topics = Int(clamping: raw.topics)
        queuedBytes = Int(clamping: raw.queued)
        members = Int(clamping: raw.members)
        questions = raw.questions
        failedQuestions = raw.questions_failed
        openQuestions = Int(clamping: raw.questions_open)
    }
}
