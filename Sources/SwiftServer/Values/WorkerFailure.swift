/// How a process of the server ended unexpectedly, and its last activity.
public struct WorkerFailure: Sendable, CustomStringConvertible {
    /// The number of the worker, task worker or custom process.
    public let workerID: Int
    /// The name of the process in titles and in the log.
    public let name: String
    /// The pid of the process.
    public let pid: Int32
    /// The exit code, 0 when the process was killed.
    public let exitCode: Int32
    /// The signal that killed the process, 0 when it exited.
    public let signal: Int32
    /// The handler in which the process ended, or the last one before; `nil` when no handler has run yet.
    public let lastEvent: String?
    /// Whether that handler was still running.
    public let wasInHandler: Bool
    /// The connection of that handler's event.
    public let connection: ConnectionID?

    /// One line: which process ended, how, and in which handler.
    public let description: String
}
