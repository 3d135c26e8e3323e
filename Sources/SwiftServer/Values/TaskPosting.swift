/// The result of posting a task.
public enum TaskPosting: Sendable, Hashable {
    /// The task is with a task worker, or queued for one.
    case posted(TaskID)
    /// The queues of the task workers are full, and the task was not queued: try again later, or report overload.
    case full
    /// The task is invalid: there are no task workers, or none of this number, it is this process itself, or the data
    /// is larger than ``Settings/maxTask``.
    case refused

    /// The task's number, when it was posted.
    public var id: TaskID? { if case .posted(let id) = self { id } else { nil } }
    /// Whether it was posted.
    public var isAccepted: Bool { id != nil }
}
