internal import CReactor
internal import CReactorInternal

/// The numbers of the dashboard.
extension Dashboard {
    /// The state of the server, as `GET /status` of the control socket has it, and beside it what charts need: the time
    /// of the snapshot by a clock that only grows, counts of durations, and the use of the machine by each process.
    func numbers(at now: ContinuousClock.Instant) -> JSONText {
        let monitor = commands.monitor
        let manager = processes.manager()
        let seconds = (now - commands.started) / .seconds(1)
        return JSONText([
            "name": JSONText(name),
            // Counters begin again with another server on the same port.
            "instance": JSONText("\(commands.pid) \(commands.identity)"), "time": JSONText(seconds),
            "status": commands.status, "latency": latency, "connections": connections, "closedBy": closedBy,
            "master": use(of: commands.pid), "manager": manager.map { use(of: $0) } ?? .null,
            "processes": JSONText(
                (0..<monitor.layout.reactors).map { _ in JSONText.null }
                    + monitor.processes.map { node in
                        let activity = Activity(monitor.bus, node: node)
                        let pid = monitor.bus.pid(ofNode: node)
                        let use = pid > 0 ? use(of: pid) : .null
                        return JSONText([
                            "use": use, "last": JSONText(activity.isRunning ? nil : activity.name),
                            "tasksDone": JSONText(activity.tasksDone),
                        ])
                    }),
        ])
    }

    private func use(of pid: Int32) -> JSONText {
        let use = ProcessUse(pid: pid)
        return JSONText(["pid": JSONText(pid), "cpu": JSONText(use?.time), "memory": JSONText(use?.memory)])
    }

    /// How often turns of event loops and handlers of workers took how long, of all processes together.
    private var latency: JSONText {
        let monitor = commands.monitor
        func sum(_ nodes: Range<Int>, _ durations: (NodeStatistics) -> [DurationCounts]) -> JSONText {
            var counts = DurationCounts.limits.map { _ in UInt64(0) }
            for more in nodes.flatMap({ durations(NodeStatistics(monitor.bus, node: $0)) }) {
                for (index, count) in more.counts.enumerated() { counts[index] &+= count }
            }
            return JSONText(counts.map { JSONText($0) })
        }
        return JSONText([
            "limits": JSONText(DurationCounts.limits.map { JSONText($0) }),
            "turns": sum(monitor.loopNodes) { [$0.turns] },
            "handlers": sum(monitor.workers) { $0.handlers.map(\.durations) },
        ])
    }

    /// The open connections by state.
    private var connections: JSONText {
        let counts = commands.monitor.bus.connectionsByPort((commands.ports.map(\.index).max() ?? -1) + 1)
        func count(_ state: cre_connection_state) -> JSONText {
            JSONText(counts.reduce(0) { $0 + $1[Int(state.rawValue)] })
        }
        return JSONText([
            "http": count(CRE_CONNECTION_HTTP), "websocket": count(CRE_CONNECTION_OPEN),
            "stream": count(CRE_CONNECTION_STREAM), "closing": count(CRE_CONNECTION_CLOSING),
        ])
    }

    /// The closed connections by cause, as pairs; causes that did not occur are missing.
    private var closedBy: JSONText {
        let monitor = commands.monitor
        let nodes = (0..<monitor.layout.nodes).map { NodeStatistics(monitor.bus, node: $0).closedBy }
        return JSONText(
            Monitor.causes.compactMap { cause, label in
                let count = nodes.reduce(UInt64(0)) { $0 &+ $1[Int(cause.number)] }
                return count == 0 ? nil : JSONText([JSONText(label), JSONText(count)])
            })
    }
}
