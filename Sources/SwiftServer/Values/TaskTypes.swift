internal import CReactor

/// The number of a task. It is the poster's own: two workers have tasks of the same number, and ``ServerTask/workerID``
/// with it is unique, also when one of them was restarted.
public struct TaskID: Hashable, Sendable, CustomStringConvertible {
    /// The number, from 1.
    public let rawValue: UInt64

    init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// The number in decimal.
    public var description: String { String(rawValue) }
}

/// What became of posting a task.
public enum TaskPosting: Sendable, Hashable {
    /// A task worker has it, or will take it when it is done with what it has.
    case posted(TaskID)
    /// So much waits for the task workers that there is no room. Nothing blocks and nothing is kept: try again later, or
    /// tell whoever asks that it is too much.
    case full
    /// It cannot be: there are no task workers, none of this number, it is this process itself, or the data is larger
    /// than ``Settings/maxTask``.
    case refused

    /// The task's number, when it was posted.
    public var id: TaskID? { if case .posted(let id) = self { id } else { nil } }
    /// Whether it was posted.
    public var isAccepted: Bool { id != nil }
}

/// Why there is no result of a task.
public enum TaskError: Error, Sendable, Hashable, CustomStringConvertible {
    /// There was no room to post it.
    case full
    /// It could not be posted; see ``TaskPosting/refused``.
    case refused
    /// It was not done in time. It may still be done; what comes of it is dropped.
    case timedOut
    /// The handler threw an error: its description.
    case failed(String)
    /// The task worker crashed or was killed while it worked on it. It is replaced.
    case crashed

    /// The cause in words.
    public var description: String {
        switch self {
        case .full: "too many tasks wait"
        case .refused: "the task cannot be posted"
        case .timedOut: "the task was not done in time"
        case .failed(let cause): "the task failed: \(cause)"
        case .crashed: "the task worker crashed"
        }
    }
}

/// A task in the task worker that does it.
@MainActor public struct ServerTask {
    /// The poster's number of it.
    public let id: TaskID
    /// The number of the process that posted it; -1 for the master and the manager.
    public let workerID: Int
    /// What was posted.
    public let data: [UInt8]
    /// Whether its poster hears of results.
    public let wantsResult: Bool
    let runtime: WorkerRuntime

    /// ``data`` as text. What is no UTF-8 is replaced.
    public var text: String { String(decoding: data, as: UTF8.self) }

    /// Sends a result to the poster, whose `onFinish` gets it. May be called several times, while the task is in hand.
    ///
    /// - Returns: false when the task is over or wants no result, or when there is no room for it.
    @discardableResult public func finish(_ result: [UInt8]) -> Bool { runtime.finish(id, result) }

    /// Sends a result as text.
    @discardableResult public func finish(_ result: String) -> Bool { runtime.finish(id, [UInt8](result.utf8)) }
}
