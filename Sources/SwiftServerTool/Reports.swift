/// Answers as text.
enum Report {
    static func status(_ status: Status) -> [String] {
        let state =
            status.stopping
            ? "stopping"
            : status.ready
                ? status.reloading ? "ready, reloading" : "ready"
                : "not ready: \(status.obstacles.joined(separator: ", "))"
        let ports = status.ports.map { port in
            let connections = port.connections.map { ", \($0) connections" } ?? ""
            return "\(port.address) \(port.protocol)\(port.tls ? " (TLS)" : "")\(connections)"
        }
        let number = status.number
        let facts =
            [
                (
                    "server",
                    "pid \(status.pid), \(status.mode) mode, version \(status.version), up \(Amount.time(status.uptime))"
                ),
                ("state", state), ("log level", status.logLevel),
            ] + ports.enumerated().map { ($0 == 0 ? "ports" : "", $1) } + [
                (
                    "connections",
                    "\(number("connections")) of \(status.maxConnections); accepted \(number("accepted")), closed \(number("closed")), refused \(number("refused"))\(number("users") > 0 ? "; \(number("users")) users" : "")"
                ),
                (
                    "traffic",
                    "\(number("messagesReceived")) messages received, \(number("messagesSent")) sent, \(number("requests")) requests"
                ),
                (
                    "memory",
                    "\(Amount.bytes(Double(number("queuedBytes") + number("unfinishedBytes") + number("transitBytes")))) of \(Amount.bytes(Double(status.memoryBudget)))"
                ),
                (
                    "reloads",
                    "\(status.reloads.completed) completed, \(status.reloads.aborted) aborted"
                ),
            ] + (status.cluster.map { [("cluster", cluster($0))] } ?? [])
        let lines = facts.map { "\(Text.padded($0.0, 11))  \(Text.visible($0.1))" }
        return lines + [""] + processes(status).lines
    }

    private static func cluster(_ now: Status.Cluster) -> String {
        let state =
            now.connectedShards == now.shards
            ? "connected"
            : now.connectedShards == 0 ? "not connected" : "\(now.connectedShards) of \(now.shards) shards"
        let losses = [(now.dropped, "dropped"), (now.skipped, "skipped"), (now.lost, "gaps")]
            .filter { $0.0 > 0 }.map { ", \($0.0) \($0.1)" }.joined()
        let queue = now.queuedBytes > 0 ? ", \(Amount.bytes(Double(now.queuedBytes))) queued" : ""
        let questions = [(now.openQuestions, "open"), (now.failedQuestions, "failed")]
            .filter { $0.0 > 0 }.map { ", \($0.0) questions \($0.1)" }.joined()
        return "\(state); \(now.topics) topics, \(now.members) members, \(now.published) messages published, "
            + "\(now.received) received" + queue + losses + questions
    }

    private static func processes(_ status: Status) -> Table {
        var table = Table([
            ("PROCESS", .left), ("PID", .right), ("STATUS", .left), ("CALLS", .right), ("STARTS", .right),
            ("FAILURES", .right), ("LONGEST TURN", .right), ("NOW", .left),
        ])
        table.rows = status.processes.map { process in
            [
                Text.visible(process.name), process.pid.map { "\($0)" } ?? "-", process.status, "\(process.calls)",
                "\(process.starts)", "\(process.failures)", Amount.time(process.longestTurnSeconds), now(process),
            ]
        }
        return table
    }

    /// "onMessage of connection 17 for 3 s".
    static func now(_ process: Status.Process) -> String {
        guard let handler = process.handler else { return "" }
        let connection = process.connection.map { " of connection \($0)" } ?? ""
        return Text.visible("\(handler)\(connection) for \(Amount.time(process.runningSeconds ?? 0))")
    }

    static func connections(_ list: [ConnectionList.Connection]) -> [String] {
        var table = Table([
            ("ID", .right), ("STATE", .left), ("PORT", .right), ("ADDRESS", .left), ("WORKER", .right),
            ("USER", .right), ("AGE", .right), ("IDLE", .right), ("QUEUED", .right),
        ])
        table.rows = list.map {
            [
                $0.id, $0.state + ($0.tls ? " (TLS)" : ""), "\($0.port)", Text.visible($0.address), "\($0.worker)",
                $0.user.map { "\($0)" } ?? "-", Amount.time($0.age), Amount.time($0.idle),
                Amount.bytes(Double($0.queuedBytes)),
            ]
        }
        return table.lines
    }

    static func topics(_ list: TopicList) -> [String] {
        var topics = Table([("SUBSCRIBERS", .right), ("TOPIC", .left)])
        topics.rows = list.topics.map { ["\($0.subscribers)", Text.visible($0.name)] }
        var processes = Table([("PROCESS", .left), ("TOPICS", .right), ("SUBSCRIPTIONS", .right)])
        processes.rows = list.processes.map { [Text.visible($0.name), "\($0.topics)", "\($0.subscriptions)"] }
        return (list.topics.isEmpty ? [] : topics.lines + [""]) + processes.lines
    }
}
