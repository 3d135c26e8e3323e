/// The treatment of a connection that has no room for a published message.
public enum SlowReceiverPolicy: String, Sendable, CaseIterable {
    /// The connection misses the message.
    case leaveOut
    /// The connection is closed, with ``CloseReason/Cause/overflow``.
    case close
}
