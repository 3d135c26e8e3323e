/// An error that the client has caused, such as malformed input.
///
/// When a handler throws one before it has responded, the client gets ``status`` and ``message`` instead of status 500;
/// an open WebSocket is closed with ``closeCode`` and the message instead of code 1011.
public protocol RequestError: Error {
    /// The status of the response, 400...499. Default: 400.
    var status: Int { get }
    /// The code with which a WebSocket is closed. Default: 1007, invalid payload data.
    var closeCode: UInt16 { get }
    /// The cause as the client may see it: one line.
    var message: String { get }
}

extension RequestError {
    /// 400.
    public var status: Int { 400 }
    /// 1007.
    public var closeCode: UInt16 { 1007 }
}
