internal import CReactor
internal import CReactorInternal

/// The metrics of a server.
extension Monitor {
    /// All metrics, as of the ends of the last turns of the event loops. A metric without samples is one that the
    /// server cannot have, like those of tasks without task workers.
    var families: [MetricFamily] {
        let nodes = (0..<layout.nodes).map { NodeStatistics(bus, node: $0) }
        var info = MetricFamily(.gauge, "info", "The version of the library and the mode of the server.")
        info.add([("version", version), ("mode", mode.rawValue)], 1.0)
        return [info] + state + connections(nodes) + traffic(nodes) + http2(nodes) + requests + memory(nodes)
            + loops(nodes)
            + handlers(nodes)
            + processes(nodes) + tasks + cluster
    }

    typealias Nodes = [NodeStatistics]

    private var state: [MetricFamily] {
        [
            MetricFamily(
                .gauge, "ready", "Whether the server is ready for traffic: 1 or 0.", obstacles.isEmpty ? 1 : 0),
            MetricFamily(
                .gauge, "stopping", "Whether the server is stopping: 1 or 0.", isStopping ? 1 : 0),
        ]
    }

    /// A metric with a sample for each of these nodes.
    func each(
        _ kind: MetricFamily.Kind, _ name: String, _ help: String, _ range: Range<Int>, _ nodes: Nodes,
        _ value: (NodeStatistics) -> UInt64
    ) -> MetricFamily {
        var family = MetricFamily(kind, name, help)
        for node in range { family.add([("process", names[node])], value(nodes[node])) }
        return family
    }

    func sum(_ nodes: Nodes, _ value: (cre_engine_stats) -> UInt64) -> Double {
        Double(nodes.reduce(UInt64(0)) { $0 &+ value($1.raw.engine) })
    }

    // MARK: Connections

    static let states: [(state: cre_connection_state, label: String)] = [
        (CRE_CONNECTION_HTTP, "http"), (CRE_CONNECTION_OPEN, "websocket"), (CRE_CONNECTION_STREAM, "stream"),
        (CRE_CONNECTION_CLOSING, "closing"),
    ]

    static let causes: [(cause: CloseReason.Cause, label: String)] = [
        (.peer, "peer"), (.server, "server"), (.protocolError, "protocol_error"), (.timeout, "timeout"),
        (.overflow, "overflow"), (.socketError, "socket_error"), (.shutdown, "shutdown"), (.tls, "tls"),
        (.heartbeat, "heartbeat"), (.outOfMemory, "out_of_memory"),
    ]

    private func connections(_ nodes: Nodes) -> [MetricFamily] {
        var open = MetricFamily(.gauge, "connections", "Open connections by port and state.")
        let counts = bus.connectionsByPort((ports.map(\.index).max() ?? -1) + 1)
        for port in ports {
            for (state, label) in Monitor.states where port.has(state) {
                open.add([("port", port.label), ("state", label)], Double(counts[port.index][Int(state.rawValue)]))
            }
        }
        var refused = MetricFamily(.counter, "connections_refused", "Connections that were closed when accepted.")
        let (descriptors, memory) = (sum(nodes, \.out_of_descriptors), sum(nodes, \.out_of_memory))
        refused.add([("reason", "descriptors")], descriptors)
        refused.add([("reason", "memory")], memory)
        let (proxies, headers) = (sum(nodes, \.proxies_refused), sum(nodes, \.proxy_headers_invalid))
        refused.add([("reason", "proxy")], proxies)
        refused.add([("reason", "proxy_header")], headers)
        refused.add(
            [("reason", "limit")], max(0, sum(nodes, \.refused) - descriptors - memory - proxies - headers))
        var closed = MetricFamily(.counter, "connections_closed", "Closed connections by cause.")
        let closedBy = nodes.map(\.closedBy)
        for (cause, label) in Monitor.causes {
            let count = closedBy.reduce(UInt64(0)) { $0 &+ $1[Int(cause.number)] }
            closed.add([("cause", label)], count)
        }
        var handshakes = MetricFamily(.counter, "tls_handshakes", "TLS handshakes by result.")
        let (all, resumed) = (sum(nodes, \.tls_handshakes), sum(nodes, \.tls_resumed))
        handshakes.add([("result", "full")], max(0, all - resumed))
        handshakes.add([("result", "resumed")], resumed)
        handshakes.add([("result", "failed")], sum(nodes, \.tls_failed))
        return [
            open, MetricFamily(.gauge, "connections_limit", "The setting maxConnections.", Double(maxConnections)),
            each(.counter, "connections_accepted", "Connections that were served.", layout.owners, nodes) {
                $0.raw.engine.accepted
            }, refused, closed,
            MetricFamily(
                .counter, "connections_shed", "Connections closed because the server exceeded memoryBudget.",
                sum(nodes, \.shed)),
            MetricFamily(
                .counter, "accept_pauses", "Times that accepting paused for want of descriptors or memory.",
                sum(nodes, \.accept_pauses)), handshakes,
        ]
    }

    // MARK: Traffic

    private func traffic(_ nodes: Nodes) -> [MetricFamily] {
        let values: [(String, String, (cre_engine_stats) -> UInt64)] = [
            ("received_bytes", "Bytes received from clients.", \.bytes_in),
            ("sent_bytes", "Bytes sent to clients.", \.bytes_out),
            ("http_requests", "Requests received.", \.requests), ("http_responses", "Responses sent.", \.responses),
            ("websocket_messages_received", "WebSocket messages received.", \.messages_in),
            (
                "websocket_messages_sent", "WebSocket frames sent; a published one counts for each receiver.",
                \.messages_out
            ), ("websocket_messages_skipped", "Published messages that slow receivers have missed.", \.skipped),
            ("datagrams_dropped", "Received datagrams that were dropped.", \.dropped_packets),
            ("stale_commands", "Commands for connections that had been closed.", \.stale_commands),
        ]
        return values.map { name, help, value in
            each(.counter, name, help, layout.owners, nodes) { value($0.raw.engine) }
        } + [
            each(.gauge, "topics", "Topics that have subscribers.", layout.owners, nodes) { $0.raw.engine.topics },
            each(.gauge, "subscriptions", "Subscriptions to topics.", layout.owners, nodes) {
                $0.raw.engine.subscriptions
            },
            each(.gauge, "users", "Users with open WebSockets.", layout.owners, nodes) { $0.raw.engine.users },
        ]
    }

    private var requests: [MetricFamily] {
        let load = bus.requestLoad
        return [
            MetricFamily(
                .gauge, "requests_in_progress",
                "Requests in progress, waiting ones included.",
                Double(load.inProgress)),
            MetricFamily(
                .gauge, "requests_waiting", "Requests that wait because of maxConcurrentRequestsPerWorker.",
                Double(load.waiting)),
            MetricFamily(
                .counter, "requests_refused", "Requests answered with status 503 because of a limit of concurrency.",
                Double(load.refused)),
        ]
    }

    private func memory(_ nodes: Nodes) -> [MetricFamily] {
        [
            each(.gauge, "queued_bytes", "Bytes in the output queues of connections.", layout.owners, nodes) {
                $0.raw.engine.queued
            },
            each(.gauge, "unfinished_bytes", "Bytes of memory for incomplete input.", layout.owners, nodes) {
                $0.raw.engine.buffered
            },
            each(
                .gauge, "transit_bytes", "Bytes of large or queued messages between processes.", layout.owners, nodes
            ) { $0.raw.engine.transit },
            MetricFamily(
                .gauge, "memory_budget_bytes", "The setting memoryBudget, for queued, unfinished and transit bytes.",
                Double(memoryBudget)),
            MetricFamily(
                .counter, "values_repaired", "Values in shared memory that a process had overwritten.",
                sum(nodes, \.repaired)),
        ]
    }

    // MARK: Processes

    /// The reactors, and the processes that the manager starts.
    var loopNodes: Range<Int> { 0..<layout.node(of: layout.processes) }

    private func loops(_ nodes: Nodes) -> [MetricFamily] {
        var turns = MetricFamily(
            .histogram, "loop_turn_duration_seconds",
            "Duration of the turns of event loops; other events wait meanwhile.")
        var longest = MetricFamily(.gauge, "loop_turn_longest_seconds", "The longest turn of the event loop.")
        for node in loopNodes {
            turns.add([("process", names[node])], nodes[node].turns)
            longest.add([("process", names[node])], Double(nodes[node].raw.loop.longest_ns) / 1e9)
        }
        return [turns, longest]
    }

    private func handlers(_ nodes: Nodes) -> [MetricFamily] {
        var durations = MetricFamily(
            .histogram, "handler_duration_seconds",
            "Duration of tasks and of about one in 128 other calls of handlers, up to the first await.")
        var calls = MetricFamily(.counter, "handler_calls", "Calls of handlers, timers and asynchronous code.")
        var running = MetricFamily(.gauge, "handler_running_seconds", "The time for which the current call has run.")
        for node in processes {
            let activity = Activity(bus, node: node)
            let labels = [(name: "process", value: names[node])]
            for (handler, counts) in nodes[node].handlers {
                durations.add(labels + [(name: "handler", value: handler)], counts)
            }
            calls.add(labels, activity.served)
            running.add(labels, activity.isRunning ? activity.runningFor / .seconds(1) : 0)
        }
        return [durations, calls, running]
    }

    private func processes(_ nodes: Nodes) -> [MetricFamily] {
        var up = MetricFamily(.gauge, "process_up", "Whether the process runs: 1 or 0.")
        var starts = MetricFamily(.counter, "process_starts", "Processes that were started, replacements included.")
        var failures = MetricFamily(.counter, "process_failures", "Processes that crashed, failed or were killed.")
        for node in processes {
            let labels = [(name: "process", value: names[node])]
            up.add(labels, bus.pid(ofNode: node) > 0 ? 1.0 : 0)
            guard mode != .single else { continue }
            starts.add(labels, bus.counted(.start, node: node))
            failures.add(labels, bus.counted(.failure, node: node))
        }
        guard mode != .single else { return [up] }
        var reloads = MetricFamily(.counter, "reloads", "Reloads by result.")
        reloads.add([("result", "completed")], bus.counted(.reloadEnded, node: layout.manager))
        reloads.add([("result", "aborted")], bus.counted(.reloadAborted, node: layout.manager))
        return [
            up, starts, failures, reloads,
            MetricFamily(.gauge, "reloading", "Whether a reload is in progress: 1 or 0.", isReloading ? 1 : 0),
        ]
    }

    private var tasks: [MetricFamily] {
        var posted = MetricFamily(.counter, "tasks_posted", "Tasks posted to task workers.")
        var done = MetricFamily(.counter, "tasks_done", "Tasks that have ended, with or without success.")
        var waiting = MetricFamily(.gauge, "tasks_waiting", "Tasks that are running or queued.")
        for node in layout.taskNodes {
            let activity = Activity(bus, node: node)
            let labels = [(name: "process", value: names[node])]
            posted.add(labels, activity.tasksGiven)
            done.add(labels, activity.tasksDone)
            waiting.add(labels, activity.tasksGiven > activity.tasksDone ? activity.tasksGiven - activity.tasksDone : 0)
        }
        return [posted, done, waiting]
    }
}

extension Monitor.Port {
    /// Whether connections of the port can be in this state.
    fileprivate func has(_ state: cre_connection_state) -> Bool {
        switch state {
        case CRE_CONNECTION_HTTP: type == .http || type == .webSocket
        case CRE_CONNECTION_OPEN: type == .webSocket
        case CRE_CONNECTION_STREAM: type == .tcp
        default: true
        }
    }
}
