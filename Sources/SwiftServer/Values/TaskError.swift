/// The failure of a task.
public enum TaskError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The queues of the task workers are full.
    case full
    /// The task could not be posted; see ``TaskPosting/refused``.
    case refused
    /// The task did not end in time. It may still run; its result is dropped.
    case timedOut
    /// The handler threw an error, with this description.
    case failed(String)
    /// The task worker crashed or was killed while it ran the task. The worker is replaced.
    case crashed

    /// The cause as text.
    public var description: String {
        switch self {
        case .full: "the task queues are full"
        case .refused: "the task cannot be posted"
        case .timedOut: "the task did not end in time"
        case .failed(let cause): "the task failed: \(cause)"
        case .crashed: "the task worker crashed"
        }
    }
}
