/// The status of a worker, task worker or custom process.
public enum WorkerStatus: String, Sendable {
    /// A handler is running.
    case busy
    /// No handler is running.
    case idle
    /// The process is finishing its work and will then end.
    case ending
}
