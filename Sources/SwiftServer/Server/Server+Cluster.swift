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
}
