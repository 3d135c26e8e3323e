internal import CReactor
internal import CReactorInternal

extension Monitor {
    static let limits: [(limit: cre_http2_limit, label: String)] = [
        (CRE_HTTP2_LIMIT_RESETS, "resets"), (CRE_HTTP2_LIMIT_CONTINUATIONS, "continuation"),
        (CRE_HTTP2_LIMIT_HEAD, "header_list"), (CRE_HTTP2_LIMIT_PINGS, "ping"),
        (CRE_HTTP2_LIMIT_SETTINGS, "settings"), (CRE_HTTP2_LIMIT_WINDOW_UPDATES, "window_update"),
        (CRE_HTTP2_LIMIT_EMPTY_DATA, "empty_data"), (CRE_HTTP2_LIMIT_OTHER_FRAMES, "other_frames"),
        (CRE_HTTP2_LIMIT_ACKNOWLEDGEMENTS, "acknowledgements"), (CRE_HTTP2_LIMIT_MEMORY, "memory"),
    ]

    /// The metrics of HTTP/2; without samples in a build that does not have it.
    func http2(_ nodes: [NodeStatistics]) -> [MetricFamily] {
        guard cre_http2_supported() else { return [] }
        var refused = MetricFamily(.counter, "http2_streams_refused", "Streams that were refused.")
        let tooLarge = sum(nodes, \.http2_heads_too_large)
        refused.add([("reason", "header_list")], tooLarge)
        refused.add([("reason", "other")], max(0, sum(nodes, \.http2_refused) - tooLarge))
        var exceeded = MetricFamily(
            .counter, "http2_limits_exceeded", "Connections with HTTP/2 that were closed because of a limit.")
        let counts = nodes.map(\.raw.engine.exceededLimits)
        for (limit, label) in Monitor.limits {
            exceeded.add([("limit", label)], counts.reduce(UInt64(0)) { $0 &+ $1[Int(limit.rawValue)] })
        }
        return [
            each(
                .gauge, "http2_open_connections", "Open connections with HTTP/2.", layout.owners, nodes
            ) { $0.raw.engine.http2_open_connections },
            each(.counter, "http2_connections", "Connections that began HTTP/2.", layout.owners, nodes) {
                $0.raw.engine.http2_connections
            },
            each(.gauge, "http2_open_streams", "Open streams of HTTP/2.", layout.owners, nodes) {
                $0.raw.engine.http2_open_streams
            },
            each(.counter, "http2_streams", "Streams with a valid request.", layout.owners, nodes) {
                $0.raw.engine.http2_requests
            }, refused,
            each(
                .counter, "http2_streams_reset", "Streams reset by clients, or because of their errors.",
                layout.owners, nodes
            ) { $0.raw.engine.http2_resets },
            each(
                .counter, "http2_streams_stalled", "Streams reset because the client did not receive.",
                layout.owners, nodes
            ) { $0.raw.engine.http2_stalled }, exceeded,
        ]
    }
}
