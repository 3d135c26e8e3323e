internal import CReactor
internal import CReactorInternal

/// What all processes of a server have done together. The counters go on when a worker is replaced.
public struct ServerStatistics: Sendable {
    /// Connections that are there now.
    public let connections: Int
    /// Connections that were accepted and served.
    public let accepted: Int
    /// Connections that were closed at once, as there were too many or no memory.
    public let refused: Int
    /// Connections whose socket is closed.
    public let closed: Int
    /// Connections that ended, by what ended them; causes that did not occur are left out.
    public let closedBy: [CloseReason.Cause: Int]
    /// WebSocket messages from clients.
    public let messagesReceived: Int
    /// WebSocket frames to clients; one that was published counts for each receiver.
    public let messagesSent: Int
    /// Published messages that slow receivers went without; see ``Settings/slowReceivers``.
    public let messagesLeftOut: Int
    /// HTTP requests.
    public let requests: Int
    /// HTTP responses.
    public let responses: Int
    /// Bytes from clients.
    public let bytesReceived: Int
    /// Bytes to clients.
    public let bytesSent: Int
    /// Workers that wait for something to do.
    public let idleWorkers: Int
    /// Task workers that wait for a task.
    public let idleTaskWorkers: Int
    /// Tasks that are being done or wait in a task worker.
    public let tasksWaiting: Int
    /// Tasks that were done, whatever became of them.
    public let tasksDone: Int
    /// Pushes and the like for connections that were gone when they arrived at their owner.
    public let staleCommands: Int
    /// How long the turns of the event loops take.
    public let loopLag: LoopLag

    /// For how long an event loop was busy with what had come, and whatever else came had to wait. Of all reactors and
    /// workers together; a turn counts when it is over.
    public struct LoopLag: Sendable, Hashable {
        /// Turns in which something was done.
        public let turns: Int
        /// Of one turn.
        public let average: Duration
        /// The longest turn since the start.
        public let longest: Duration
    }
}

extension Server {
    private var loopLag: ServerStatistics.LoopLag {
        var raw = cre_loop_stats()
        if let bus { unsafe cre_bus_loop_stats(bus.raw, &raw) }
        let turns = Int64(truncatingIfNeeded: raw.turns)
        let work = Int64(truncatingIfNeeded: raw.work_ns)
        let longest = Int64(truncatingIfNeeded: raw.longest_ns)
        return ServerStatistics.LoopLag(
            turns: Int(turns), average: .nanoseconds(turns > 0 ? work / turns : 0), longest: .nanoseconds(longest))
    }

    /// The counters of the whole server, from every process, through shared memory: nobody is asked, nothing waits. Each
    /// is as it was at the end of the last turn of the loop that counts it.
    public func stats() -> ServerStatistics {
        var raw = cre_engine_stats()
        if let bus { unsafe cre_bus_stats(bus.raw, &raw) }
        var closedBy: [CloseReason.Cause: Int] = [:]
        let ends = unsafe withUnsafeBytes(of: &raw.closed_by) { unsafe [UInt64]($0.bindMemory(to: UInt64.self)) }
        for (number, count) in ends.enumerated() where count > 0 {
            closedBy[CloseReason.Cause(number: UInt16(number))] = Int(count)
        }
        let layout = Layout(server: self)
        let activities = bus.map { bus in
            (0..<layout.processes).map { (layout.role(of: $0), Activity(bus, node: layout.node(of: $0))) }
        }
        let tasks = (activities ?? []).filter { $0.0 == .taskWorker }.map(\.1)
        let done = tasks.reduce(0) { $0 &+ $1.tasksDone }
        let given = tasks.reduce(0) { $0 &+ $1.tasksGiven }
        return ServerStatistics(
            connections: connections.count, accepted: Int(truncatingIfNeeded: raw.accepted),
            refused: Int(truncatingIfNeeded: raw.refused),
            closed: Int(truncatingIfNeeded: raw.closed), closedBy: closedBy,
            messagesReceived: Int(truncatingIfNeeded: raw.messages_in),
            messagesSent: Int(truncatingIfNeeded: raw.messages_out),
            messagesLeftOut: Int(truncatingIfNeeded: raw.skipped), requests: Int(truncatingIfNeeded: raw.requests),
            responses: Int(truncatingIfNeeded: raw.responses), bytesReceived: Int(truncatingIfNeeded: raw.bytes_in),
            bytesSent: Int(truncatingIfNeeded: raw.bytes_out),
            idleWorkers: (activities ?? []).count { $0.0 == .worker && !$0.1.isRunning },
            idleTaskWorkers: tasks.count { !$0.isRunning && $0.tasksGiven <= $0.tasksDone },
            tasksWaiting: given > done ? Int(given - done) : 0, tasksDone: Int(truncatingIfNeeded: done),
            staleCommands: Int(truncatingIfNeeded: raw.stale_commands), loopLag: loopLag)
    }
}
