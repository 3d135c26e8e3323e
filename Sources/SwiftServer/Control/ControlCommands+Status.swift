internal import CReactor
internal import CReactorInternal

/// The state of the server.
extension ControlCommands {
    var status: JSONText {
        let (bus, layout) = (monitor.bus, monitor.layout)
        let obstacles = monitor.obstacles
        let uptime = (ContinuousClock.now - started) / .seconds(1)
        let manager = layout.manager
        return JSONText([
            "version": JSONText(version), "mode": JSONText(monitor.mode.rawValue), "pid": JSONText(pid),
            "uptime": JSONText((uptime * 1000).rounded() / 1000), "ready": JSONText(obstacles.isEmpty),
            "obstacles": JSONText(obstacles.map { JSONText($0) }), "stopping": JSONText(monitor.isStopping),
            "reloading": JSONText(monitor.isReloading),
            "reloads": JSONText([
                "begun": JSONText(monitor.reloadsBegun),
                "completed": JSONText(bus.counted(.reloadEnded, node: manager)),
                "aborted": JSONText(bus.counted(.reloadAborted, node: manager)),
            ]),
            "logLevel": JSONText("\(logLevel)"), "maxConnections": JSONText(monitor.maxConnections),
            "memoryBudget": JSONText(monitor.memoryBudget), "ports": JSONText(portList),
            "processes": JSONText(processList), "cluster": clusterState,
            "statistics": JSONText(raw: String(ServerStatistics(bus, layout).json.dropLast())),
        ])
    }

    /// The cluster; null without one.
    private var clusterState: JSONText {
        guard monitor.layout.hasCluster else { return .null }
        let now = ClusterStatistics(monitor.bus)
        return JSONText([
            "shards": JSONText(now.shards), "connectedShards": JSONText(now.connectedShards),
            "topics": JSONText(now.topics), "queuedBytes": JSONText(now.queuedBytes),
            "published": JSONText(now.published), "dropped": JSONText(now.dropped),
            "received": JSONText(now.received), "skipped": JSONText(now.skipped), "invalid": JSONText(now.invalid),
            "lost": JSONText(now.lost), "connects": JSONText(now.connects), "failures": JSONText(now.failures),
            "members": JSONText(now.members), "questions": JSONText(now.questions),
            "failedQuestions": JSONText(now.failedQuestions), "openQuestions": JSONText(now.openQuestions),
        ])
    }

    private var portList: [JSONText] {
        let counts = monitor.bus.connectionsByPort((ports.map(\.index).max() ?? -1) + 1)
        return ports.map { port in
            JSONText([
                "address": JSONText(port.address), "protocol": JSONText(port.type.rawValue),
                "tls": JSONText(port.isSecure),
                "connections": port.type == .udp ? .null : JSONText(counts[port.index].reduce(0, +)),
            ])
        }
    }

    // MARK: Processes

    private var processList: [JSONText] {
        let layout = monitor.layout
        let reactors = (0..<layout.reactors).map { process($0, "reactor", pid, .idle) }
        let others = (0..<layout.processes).map { id in
            let node = layout.node(of: id)
            let role =
                switch layout.role(of: id) {
                case .worker: "worker"
                case .taskWorker: "taskWorker"
                case .user: "custom"
                case .gateway: "gateway"
                }
            let activity = Activity(monitor.bus, node: node)
            let pid = monitor.bus.pid(ofNode: node)
            guard pid > 0 else { return process(node, role, nil, nil) }
            let state = activity.ending != nil ? WorkerStatus.ending : activity.isRunning ? .busy : .idle
            return process(node, role, pid, state)
        }
        return reactors + others
    }

    private func process(_ node: Int, _ role: String, _ pid: Int32?, _ state: WorkerStatus?) -> JSONText {
        let bus = monitor.bus
        let activity = Activity(bus, node: node)
        let statistics = NodeStatistics(bus, node: node)
        let (engine, turns) = (statistics.raw.engine, statistics.raw.loop)
        let isBusy = state != nil && activity.isRunning
        return JSONText([
            "name": JSONText(monitor.names[node]), "role": JSONText(role), "pid": JSONText(pid),
            "status": JSONText(role == "reactor" ? "running" : state?.rawValue ?? "missing"),
            "handler": JSONText(isBusy ? activity.name : nil),
            "connection": JSONText(isBusy ? activity.connection.map { "\($0)" } : nil),
            "runningSeconds": JSONText(isBusy ? activity.runningFor / .seconds(1) : nil),
            "calls": JSONText(activity.served),
            "starts": JSONText(bus.counted(.start, node: node)),
            "failures": JSONText(bus.counted(.failure, node: node)),
            "tasksWaiting": JSONText(
                activity.tasksGiven > activity.tasksDone ? activity.tasksGiven - activity.tasksDone : 0),
            "accepted": JSONText(engine.accepted), "closed": JSONText(engine.closed),
            "messagesReceived": JSONText(engine.messages_in), "messagesSent": JSONText(engine.messages_out),
            "requests": JSONText(engine.requests), "bytesReceived": JSONText(engine.bytes_in),
            "bytesSent": JSONText(engine.bytes_out), "queuedBytes": JSONText(engine.queued),
            "loopTurns": JSONText(turns.turns), "longestTurnSeconds": JSONText(Double(turns.longest_ns) / 1e9),
        ])
    }
}
