/// Pieces of a body as conditions: `while !response.write(piece) { … }`. The form without a condition returns a
/// ``ResponseResult`` with the reason.
extension Response {
    /// Whether ``write(_:)-(String)->ResponseResult`` has accepted the piece.
    @_disfavoredOverload
    public func write(_ text: String) -> Bool { (write(text) as ResponseResult).isAccepted }

    /// Whether ``write(_:)-([UInt8])->ResponseResult`` has accepted the piece.
    @_disfavoredOverload
    public func write(_ bytes: [UInt8]) -> Bool { (write(bytes) as ResponseResult).isAccepted }
}

extension EventStream {
    /// Whether ``trySend(_:event:id:)`` has accepted the event.
    @_disfavoredOverload
    public func trySend(_ data: String, event: String? = nil, id: String? = nil) -> Bool {
        (trySend(data, event: event, id: id) as ResponseResult).isAccepted
    }
}
