extension Server {
    /// The state of the connections with the ``cluster``. From every process and thread of a started server.
    public var clusterState: ClusterState {
        clusterStatistics?.state ?? .none
    }

    /// The numbers of this server's part of the ``cluster``; `nil` without one, and before the start. From every
    /// process and thread.
    public var clusterStatistics: ClusterStatistics? {
        guard let context, context.configuration.cluster.isEnabled else { return nil }
        return ClusterStatistics(context.bus)
    }

    /// The servers of the ``cluster`` that are alive, sorted by name, with their connections a few seconds ago. From
    /// every process that runs handlers, on any thread.
    ///
    /// One that was stopped is gone at once, one that was killed after ``Cluster/presenceTimeout``.
    ///
    /// - Throws: ``ClusterError/unavailable`` without a connection with the cluster or an answer within `timeout`,
    ///   ``ClusterError/noCluster``.
    public func clusterNodes(timeout: Duration = .seconds(5)) async throws(ClusterError) -> [ClusterNode] {
        guard let worker else { throw .noCluster }
        return try await worker.clusterNodes(timeout: timeout).sorted { ($0.name, $0.id) < ($1.name, $1.id) }
    }
}
