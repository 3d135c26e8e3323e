/// The arguments of a dispatch function.
public struct DispatchInfo: Sendable {
    /// The server's port of the connection or datagram.
    public let serverPort: Int
    /// The address of the client.
    public let remoteAddress: SocketAddress
    /// The number of workers, which are numbered from 0.
    public let workerCount: Int
    /// The datagram; `nil` for a connection, which has not sent anything yet.
    public let packet: [UInt8]?
}
