/// Why a response cannot be continued.
public enum ResponseError: Error, Sendable, Hashable {
    /// The client has left. A handler that does not catch it ends, and nothing is logged.
    case closed
    /// The response has ended.
    case ended
    /// The name or the id of an event has a line break.
    case invalidEvent
}
