/// A message or a control frame that a WebSocket client has received.
public enum TestMessage: Sendable, Hashable {
    /// A text message.
    case text(String)
    /// A binary message.
    case binary([UInt8])
    /// A ping with its payload.
    case ping([UInt8])
    /// A pong with its payload.
    case pong([UInt8])
    /// A close frame: code and reason; 1005 when it has no code.
    case close(UInt16, String)
    /// The connection has ended.
    case end
}
