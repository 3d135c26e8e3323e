internal import CReactor

/// The result of sending a result of a task: what ``ServerTask/finish(_:)-([UInt8])->ReplyResult`` returns.
public struct ReplyResult: Sendable, Hashable, CustomStringConvertible {
    /// The name of the result.
    public let description: String

    /// The result is on its way to the poster.
    public static let sent = ReplyResult(description: "sent")
    /// The task has ended, so it has no further results.
    public static let ended = ReplyResult(description: "ended")
    /// The poster receives no results: it is a task worker, the master or the manager. See ``ServerTask/wantsResult``.
    public static let unwanted = ReplyResult(description: "unwanted")
    /// The result is larger than ``Settings/maxTask``.
    public static let tooLarge = ReplyResult(description: "tooLarge")
    /// The poster is behind, and there is no room for another result. Try again later.
    public static let full = ReplyResult(description: "full")

    /// Whether the result was accepted: ``sent``.
    public var isAccepted: Bool { self == .sent }

    private init(description: String) { self.description = description }
}
