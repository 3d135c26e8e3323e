/// How many connections there are, on all servers of a ``Server/cluster``; without one, on this server.
///
/// ```swift
/// let readers = try await server.subscriberCount(of: "news")
/// let isOnline = try await server.connectionCount(ofUser: "alice") > 0
/// ```
///
/// All servers are asked each time, and the answer is exact: each connection is counted when its process gets the
/// question, after what this worker has subscribed or bound before.
extension WebSocketServer {
    /// The number of WebSockets that are subscribed to a topic, on all servers. From every process that runs handlers,
    /// on any thread.
    ///
    /// - Throws: ``ClusterError/incomplete(_:)`` when a server that is alive, or was killed within the last
    ///   ``Cluster/presenceTimeout``, has not answered within `timeout`, or a process of this one, with the number that
    ///   the others have; ``ClusterError/unavailable`` without a connection with the cluster, and with NATS without
    ///   JetStream; ``ClusterError/invalid`` for a topic that cannot be subscribed to; ``ClusterError/noCluster`` where
    ///   no handlers run.
    public func subscriberCount(
        of topic: String, timeout: Duration = .seconds(5)
    ) async throws(ClusterError) -> Int {
        guard let worker else { throw .noCluster }
        return try await worker.subscriberCount(of: .topic(topic), timeout: timeout)
    }

    /// The number of WebSockets of a user, on all servers; 0: the user is not connected. From every process that runs
    /// handlers, on any thread.
    ///
    /// - Parameters:
    ///   - user: a name or a number, as given to `bind`.
    ///   - timeout: the time for all servers to answer.
    /// - Throws: as ``subscriberCount(of:timeout:)``. A user is connected if ``ClusterError/incomplete(_:)`` has a
    ///   number above 0.
    public func connectionCount(
        ofUser user: some LosslessStringConvertible, timeout: Duration = .seconds(5)
    ) async throws(ClusterError) -> Int {
        guard let worker else { throw .noCluster }
        return try await worker.subscriberCount(of: .user(user.description), timeout: timeout)
    }
}
