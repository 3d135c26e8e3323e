internal import CReactor
internal import CReactorInternal

extension ServerStatistics {
    /// Reads the counters of all processes. Without a bus all are 0.
    init(_ bus: Bus?, _ layout: Layout?) {
        var raw = cre_engine_stats()
        if let bus { unsafe cre_bus_get_stats(bus.raw, &raw) }
        var closedBy: [CloseReason.Cause: Int] = [:]
        let ends = unsafe withUnsafeBytes(of: &raw.closed_by) { unsafe [UInt64]($0.bindMemory(to: UInt64.self)) }
        for (number, count) in ends.enumerated() where count > 0 {
            closedBy[CloseReason.Cause(number: UInt16(number))] = Int(truncatingIfNeeded: count)
        }
        var activities: [(role: Role, activity: Activity)] = []
        if let bus, let layout {
            activities = (0..<layout.processes).map { (layout.role(of: $0), Activity(bus, node: layout.node(of: $0))) }
        }
        let tasks = activities.filter { $0.role == .taskWorker }.map(\.activity)
        let done = tasks.reduce(0) { $0 &+ $1.tasksDone }
        let given = tasks.reduce(0) { $0 &+ $1.tasksGiven }
        let load = bus?.requestLoad ?? (inProgress: 0, waiting: 0, refused: 0)
        self.init(
            connections: Connections(bus: bus).count, accepted: Int(truncatingIfNeeded: raw.accepted),
            refused: Int(truncatingIfNeeded: raw.refused),
            outOfDescriptors: Int(truncatingIfNeeded: raw.out_of_descriptors),
            outOfMemory: Int(truncatingIfNeeded: raw.out_of_memory),
            acceptPauses: Int(truncatingIfNeeded: raw.accept_pauses),
            closed: Int(truncatingIfNeeded: raw.closed), closedBy: closedBy,
            messagesReceived: Int(truncatingIfNeeded: raw.messages_in),
            messagesSent: Int(truncatingIfNeeded: raw.messages_out), users: Int(truncatingIfNeeded: raw.users),
            messagesSkipped: Int(truncatingIfNeeded: raw.skipped), requests: Int(truncatingIfNeeded: raw.requests),
            responses: Int(truncatingIfNeeded: raw.responses), requestsInProgress: load.inProgress,
            requestsWaiting: load.waiting, requestsRefused: load.refused,
            bytesReceived: Int(truncatingIfNeeded: raw.bytes_in),
            bytesSent: Int(truncatingIfNeeded: raw.bytes_out), queuedBytes: Int(truncatingIfNeeded: raw.queued),
            unfinishedBytes: Int(truncatingIfNeeded: raw.buffered),
            transitBytes: Int(truncatingIfNeeded: raw.transit),
            connectionsShed: Int(truncatingIfNeeded: raw.shed),
            idleWorkers: activities.count { $0.role == .worker && !$0.activity.isRunning },
            idleTaskWorkers: tasks.count { !$0.isRunning && $0.tasksGiven <= $0.tasksDone },
            tasksWaiting: given > done ? Int(clamping: given - done) : 0, tasksDone: Int(truncatingIfNeeded: done),
            staleCommands: Int(truncatingIfNeeded: raw.stale_commands),
            valuesRepaired: Int(truncatingIfNeeded: raw.repaired), loopLag: LoopLag(bus), http2: HTTP2(raw))
    }
}

extension ServerStatistics.HTTP2 {
    fileprivate init(_ raw: cre_engine_stats) {
        let exceeded = raw.exceededLimits.reduce(0, &+)
        self.init(
            openConnections: Int(truncatingIfNeeded: raw.http2_open_connections),
            connections: Int(truncatingIfNeeded: raw.http2_connections),
            openStreams: Int(truncatingIfNeeded: raw.http2_open_streams),
            streams: Int(truncatingIfNeeded: raw.http2_requests),
            streamsRefused: Int(truncatingIfNeeded: raw.http2_refused),
            streamsReset: Int(truncatingIfNeeded: raw.http2_resets),
            streamsStalled: Int(truncatingIfNeeded: raw.http2_stalled),
            limitsExceeded: Int(truncatingIfNeeded: exceeded))
    }
}

extension cre_engine_stats {
    /// The connections that a limit of HTTP/2 has ended, by ``cre_http2_limit``.
    var exceededLimits: [UInt64] {
        unsafe withUnsafeBytes(of: http2_exceeded) { unsafe [UInt64]($0.bindMemory(to: UInt64.self)) }
    }
}

extension ServerStatistics.LoopLag {
    fileprivate init(_ bus: Bus?) {
        var raw = cre_loop_stats()
        if let bus { unsafe cre_bus_get_loop_stats(bus.raw, &raw) }
        let turns = Int64(truncatingIfNeeded: raw.turns)
        let work = Int64(truncatingIfNeeded: raw.work_ns)
        let longest = Int64(truncatingIfNeeded: raw.longest_ns)
        self.init(
            turns: Int(turns), average: .nanoseconds(turns > 0 ? work / turns : 0), longest: .nanoseconds(longest))
    }
}
