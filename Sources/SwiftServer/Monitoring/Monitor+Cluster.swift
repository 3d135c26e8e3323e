extension Monitor {
    /// The metrics of the cluster; none without one.
    var cluster: [MetricFamily] {
        guard layout.hasCluster else { return [] }
        let now = ClusterStatistics(bus)
        return [
            MetricFamily(
                .gauge, "cluster_shards_connected", "Shards of the cluster with a connection.",
                Double(now.connectedShards)),
            MetricFamily(.gauge, "cluster_shards", "Shards of the cluster.", Double(now.shards)),
            MetricFamily(.gauge, "cluster_topics", "Topics whose messages are received.", Double(now.topics)),
            MetricFamily(.gauge, "cluster_members", "Members of topics, of this server.", Double(now.members)),
            MetricFamily(
                .gauge, "cluster_questions_open", "Questions that wait for the cluster.", Double(now.openQuestions)),
            MetricFamily(
                .gauge, "cluster_queued_bytes", "Bytes of messages that wait for the cluster.",
                Double(now.queuedBytes)),
            MetricFamily(
                .counter, "cluster_messages_published", "Messages that the cluster has accepted.",
                Double(now.published)),
            MetricFamily(
                .counter, "cluster_messages_dropped", "Messages that the cluster has not accepted.",
                Double(now.dropped)),
            MetricFamily(
                .counter, "cluster_messages_received", "Messages of the cluster that were received.",
                Double(now.received)),
            MetricFamily(
                .counter, "cluster_messages_skipped", "Messages for which a process of this server had no room.",
                Double(now.skipped)),
            MetricFamily(
                .counter, "cluster_messages_invalid", "Messages with an unknown format.", Double(now.invalid)),
            MetricFamily(
                .counter, "cluster_gaps", "Gaps in topics with a history that could not be filled.",
                Double(now.lost)),
            MetricFamily(
                .counter, "cluster_connects", "Connections with shards that were established.",
                Double(now.connects)),
            MetricFamily(
                .counter, "cluster_failures", "Connections, and attempts to connect, that failed.",
                Double(now.failures)),
            MetricFamily(.counter, "cluster_questions", "Questions to the cluster.", Double(now.questions)),
            MetricFamily(
                .counter, "cluster_questions_failed", "Questions that were answered with an error.",
                Double(now.failedQuestions)),
        ]
    }
}
