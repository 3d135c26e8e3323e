internal import CReactor

/// The result of sending a result of a task: what ``ServerTask/finish(_:)-([UInt8])->ReplyResult`` returns.
public struct ReplyResult: Sendable, Hashable, CustomStringConvertible {
    private enum Code: String { case sent, ended, unwanted, tooLarge, full }
    private let code: Code

    private init(_ code: Code) { self.code = code }

    /// The result is on its way to the poster.
    public static var sent: ReplyResult { ReplyResult(.sent) }
    /// The task has ended, so it has no further results.
    public static var ended: ReplyResult { ReplyResult(.ended) }
    /// The poster receives no results: it is a task worker, the master or the manager. See ``ServerTask/wantsResult``.
    public static var unwanted: ReplyResult { ReplyResult(.unwanted) }
    /// The result is larger than ``Settings/maxTask``.
    public static var tooLarge: ReplyResult { ReplyResult(.tooLarge) }
    /// The poster is behind, and there is no room for another result. Try again later.
    public static var full: ReplyResult { ReplyResult(.full) }

    /// Whether the result was accepted: ``sent``.
    public var isAccepted: Bool { self == .sent }

    /// The name of the result.
    public var description: String { code.rawValue }
}
