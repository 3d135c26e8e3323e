/// The result of a change of a response, or of sending it or a part of it. A client may leave at any time, and a value
/// may come from a client, so this is a result and not an error.
///
/// ```swift
/// if response.header("X-Name", name) == .invalid { … }
/// if !response.write(row).isAccepted { … }      // or shorter: if !response.write(row) { … }
/// ```
public struct ResponseResult: Sendable, Hashable, CustomStringConvertible {
    private enum Code: String { case accepted, begun, ended, invalid, full, closed, unsupported }
    private let code: Code

    private init(_ code: Code) { self.code = code }

    /// The status or the field is part of the response; or the bytes were handed over to be sent.
    public static var accepted: ResponseResult { ResponseResult(.accepted) }
    /// The response has begun: its status and fields were sent, or a WebSocket was opened instead.
    public static var begun: ResponseResult { ResponseResult(.begun) }
    /// The response has ended, perhaps with status 503 since its time limit has passed.
    public static var ended: ResponseResult { ResponseResult(.ended) }
    /// A value is not permitted: a status out of range, a field that could break the response, a path or a target that
    /// cannot be used.
    public static var invalid: ResponseResult { ResponseResult(.invalid) }
    /// There is no room: the fields of the response are too many, or the output queue of the client is full. A piece of
    /// a body may be tried again after `onDrain`.
    public static var full: ResponseResult { ResponseResult(.full) }
    /// The client has left, or the process is about to end.
    public static var closed: ResponseResult { ResponseResult(.closed) }

    /// The client does not take what would be sent: trailers.
    public static var unsupported: ResponseResult { ResponseResult(.unsupported) }

    /// Whether the change or the bytes were accepted: ``accepted``.
    public var isAccepted: Bool { code == .accepted }

    /// The name of the result.
    public var description: String { code.rawValue }
}
