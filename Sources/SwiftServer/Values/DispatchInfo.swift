/// What a dispatch function can go by.
public struct DispatchInfo: Sendable {
    /// The port of the server that it came in on.
    public let serverPort: Int
    /// Who it comes from.
    public let remoteAddress: SocketAddress
    /// Workers are numbered from 0 to one less than this.
    public let workerCount: Int
    /// The datagram; `nil` for a connection, which has not sent anything yet.
    public let packet: [UInt8]?
}
