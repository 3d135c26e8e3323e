/// The plain response to the request of a connection that is not upgraded.
extension WebSocket {
    /// Sets the status of a plain response, as ``Response/status(_:)``.
    ///
    /// - Returns: also ``ResponseResult/begun`` after the upgrade, as all of these.
    @MainActor @discardableResult public func status(_ code: Int) -> ResponseResult {
        undecided?.status(code) ?? decided
    }

    /// Adds a field to the response, or to the answer to the handshake, as ``Response/header(_:_:)``.
    @MainActor @discardableResult public func header(_ name: String, _ value: String) -> ResponseResult {
        undecided?.header(name, value) ?? decided
    }

    /// Sends a plain response, as ``Response/end(_:)-(String)``.
    @MainActor @discardableResult public func end(_ body: String = "") -> ResponseResult {
        undecided?.end(body) ?? decided
    }

    /// Sends a plain response, as ``Response/end(_:)-([UInt8])``.
    @MainActor @discardableResult public func end(_ body: [UInt8]) -> ResponseResult { undecided?.end(body) ?? decided }

    /// Sends the next piece of a plain response, as ``Response/write(_:)-(String)->ResponseResult``.
    @MainActor public func write(_ text: String) -> ResponseResult { undecided?.write(text) ?? decided }

    /// Sends the next piece of a plain response, as ``Response/write(_:)-([UInt8])->ResponseResult``.
    @MainActor public func write(_ bytes: [UInt8]) -> ResponseResult { undecided?.write(bytes) ?? decided }

    /// Sends a file as a plain response, as ``Response/sendFile(_:offset:length:)``.
    @MainActor @discardableResult
    public func sendFile(_ path: String, offset: Int = 0, length: Int? = nil) -> ResponseResult {
        undecided?.sendFile(path, offset: offset, length: length) ?? decided
    }

    /// Whether ``write(_:)-(String)->ResponseResult`` has accepted the piece.
    @MainActor @_disfavoredOverload
    public func write(_ text: String) -> Bool { (write(text) as ResponseResult).isAccepted }

    /// Whether ``write(_:)-([UInt8])->ResponseResult`` has accepted the piece.
    @MainActor @_disfavoredOverload
    public func write(_ bytes: [UInt8]) -> Bool { (write(bytes) as ResponseResult).isAccepted }

    /// Why there is no plain response any more.
    private var decided: ResponseResult {
        switch phase {
        case .asked: .ended  // by a handler that has returned
        case .opening, .open: .begun
        case .closed: .closed
        }
    }
}
