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
