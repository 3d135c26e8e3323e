/// The counters of all processes of a server together. They continue when a worker is replaced.
public struct ServerStatistics: Sendable {
    /// Open connections.
    public let connections: Int
    /// Connections that were accepted and served.
    public let accepted: Int
    /// Connections that were closed at once, because of a limit or a lack of memory.
    public let refused: Int
    /// Connections that were refused because the process or the system had no free descriptor; they are part of
    /// ``refused``.
    public let outOfDescriptors: Int
    /// Connections that were refused because there was no memory for them; they are part of ``refused``. Open ones that
    /// were closed for that reason are in ``closedBy``.
    public let outOfMemory: Int
    /// The number of times that accepting paused for a moment because connections could not even be refused, for want
    /// of descriptors or memory. They wait meanwhile.
    public let acceptPauses: Int
    /// Connections whose socket is closed.
    public let closed: Int
    /// Closed connections by cause; causes that did not occur are missing.
    public let closedBy: [CloseReason.Cause: Int]
    /// WebSocket messages received from clients.
    public let messagesReceived: Int
    /// WebSocket frames sent to clients; a published one counts once for each receiver.
    public let messagesSent: Int
    /// Users with open WebSockets (``WebSocketServer/bind(_:to:)->CommandResult``); one whose connections belong to
    /// several processes counts in each of them.
    public let users: Int
    /// Published messages that slow receivers have missed; see ``Settings/slowReceivers``.
    public let messagesSkipped: Int
    /// Received HTTP requests.
    public let requests: Int
    /// Sent HTTP responses.
    public let responses: Int
    /// Requests that were given to a worker and are not answered, those that wait included.
    public let requestsInProgress: Int
    /// Requests that wait for another one of their worker to end (``Settings/maxConcurrentRequestsPerWorker``).
    public let requestsWaiting: Int
    /// Requests that got status 503 because of these limits.
    public let requestsRefused: Int
    /// Bytes received from clients.
    public let bytesReceived: Int
    /// Bytes sent to clients.
    public let bytesSent: Int
    /// Bytes in the output queues of all connections.
    public let queuedBytes: Int
    /// Bytes of memory for messages, packets and requests that have not arrived completely.
    public let unfinishedBytes: Int
    /// Bytes of large or queued messages on their way between processes: received ones that a worker has not taken, and
    /// pushes and responses that have not reached their connection.
    public let transitBytes: Int
    /// Connections that were closed because all connections together exceeded ``Settings/memoryBudget``.
    public let connectionsShed: Int
    /// Workers that run no handler.
    public let idleWorkers: Int
    /// Task workers that have no task.
    public let idleTaskWorkers: Int
    /// Tasks that are running, or queued in a task worker.
    public let tasksWaiting: Int
    /// Tasks that have ended, with or without success.
    public let tasksDone: Int
    /// Commands, such as pushes, for connections that were closed before the command arrived.
    public let staleCommands: Int
    /// Values in memory shared by the server's processes that one of them had overwritten, and that were restored: a
    /// process writes where it must not.
    public let valuesRepaired: Int
    /// The duration of the turns of the event loops.
    public let loopLag: LoopLag
    /// Connections with HTTP/2 and their streams; they are part of the other counters, too.
    public let http2: HTTP2

    /// Connections with HTTP/2 and their streams. A stream is one request with its response, or one WebSocket.
    public struct HTTP2: Sendable, Hashable {
        /// Open connections with HTTP/2.
        public let openConnections: Int
        /// Connections that began HTTP/2.
        public let connections: Int
        /// Open streams.
        public let openStreams: Int
        /// Streams that were opened with a valid request.
        public let streams: Int
        /// Streams that were refused: by a status, such as 431, or by `REFUSED_STREAM`.
        public let streamsRefused: Int
        /// Streams that clients reset, or that were reset because of their errors.
        public let streamsReset: Int
        /// Streams that were reset because the client did not receive.
        public let streamsStalled: Int
        /// Connections that were closed because the client exceeded a limit, such as that of resets.
        public let limitsExceeded: Int
    }

    /// The time for which event loops were busy, while other events had to wait: of all reactors and workers together.
    /// A turn is counted at its end.
    public struct LoopLag: Sendable, Hashable {
        /// The number of turns in which something was done.
        public let turns: Int
        /// The average duration of a turn.
        public let average: Duration
        /// The longest turn since the start.
        public let longest: Duration
    }
}
