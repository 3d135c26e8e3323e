/// The protocol of a port.
public enum PortProtocol: String, Sendable, CaseIterable {
    /// HTTP with the upgrade to WebSocket.
    case webSocket
    /// HTTP without it.
    case http
    /// Plain streams over TCP or a Unix socket: bytes, or packets (see ``Framing``).
    case tcp
    /// Datagrams over UDP or a Unix socket.
    case udp
}
