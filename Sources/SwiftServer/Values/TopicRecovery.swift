/// The result of ``WebSocketServer/subscribe(_:to:since:timeout:)``.
public enum TopicRecovery: Sendable, Hashable {
    /// The connection is subscribed, from the message after the position on. No earlier position was given, or the
    /// connection was subscribed before.
    case subscribed(TopicPosition)
    /// The connection has been sent the messages that it had missed, `count` of them up to the position, and gets those
    /// after it.
    case recovered(TopicPosition, count: Int)
    /// Missed messages are no longer available. None was sent; the connection is subscribed from the message after the
    /// position on.
    case lost(TopicPosition)
    /// The connection is not subscribed: ``PushResult/closed``, ``PushResult/notWebSocket``,
    /// ``PushResult/limitReached``, ``PushResult/invalid`` for the name of the topic, ``PushResult/noHistory``,
    /// ``PushResult/full`` when its output queue has no room for the missed messages, or ``PushResult/unavailable``.
    /// The last one means that there was no answer in time: then it may be subscribed a little later.
    case refused(PushResult)

    /// The position at which the subscription stands; `nil`: the connection is not subscribed.
    public var position: TopicPosition? {
        switch self {
        case .subscribed(let position), .recovered(let position, _), .lost(let position): position
        case .refused: nil
        }
    }

    /// Whether the connection is subscribed.
    public var isSubscribed: Bool { position != nil }
}
