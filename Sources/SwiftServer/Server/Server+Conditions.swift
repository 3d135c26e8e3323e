/// Commands as conditions: `if server.close(fd) { … }`. Each returns whether its command was accepted; the form without
/// `if` returns a ``CommandResult`` with the reason.
extension Server {
    /// Whether ``close(_:code:reason:)->CommandResult`` was accepted.
    @_disfavoredOverload
    public func close(_ fd: ConnectionID, code: UInt16 = 1000, reason: String = "") -> Bool {
        (close(fd, code: code, reason: reason) as CommandResult).isAccepted
    }

    /// Whether ``close(_:reset:)`` was accepted.
    @_disfavoredOverload
    public func close(_ fd: ConnectionID, reset: Bool) -> Bool {
        (close(fd, reset: reset) as CommandResult).isAccepted
    }

    /// Whether ``pause(_:)->CommandResult`` was accepted.
    @_disfavoredOverload
    public func pause(_ fd: ConnectionID) -> Bool { (pause(fd) as CommandResult).isAccepted }

    /// Whether ``resume(_:)`` was accepted.
    @_disfavoredOverload
    public func resume(_ fd: ConnectionID) -> Bool { (resume(fd) as CommandResult).isAccepted }

    /// Whether ``protect(_:_:)->CommandResult`` was accepted.
    @_disfavoredOverload
    public func protect(_ fd: ConnectionID, _ on: Bool = true) -> Bool {
        (protect(fd, on) as CommandResult).isAccepted
    }

    /// Whether ``bind(_:to:)->CommandResult`` was accepted.
    @_disfavoredOverload
    public func bind(_ fd: ConnectionID, to user: Int) -> Bool { (bind(fd, to: user) as CommandResult).isAccepted }
}

extension WebSocketServer {
    /// Whether ``bind(_:to:)->CommandResult`` was accepted.
    @_disfavoredOverload
    public func bind(_ fd: ConnectionID, to user: String) -> Bool { (bind(fd, to: user) as CommandResult).isAccepted }

    /// Whether ``unbind(_:)->CommandResult`` was accepted.
    @_disfavoredOverload
    public func unbind(_ fd: ConnectionID) -> Bool { (unbind(fd) as CommandResult).isAccepted }
}

extension Connection {
    /// Whether ``close(code:reason:)`` was accepted.
    @_disfavoredOverload
    public func close(code: UInt16 = 1000, reason: String = "") -> Bool {
        (close(code: code, reason: reason) as CommandResult).isAccepted
    }
}

extension ServerTask {
    /// Whether ``finish(_:)-([UInt8])->ReplyResult`` was accepted.
    @_disfavoredOverload
    public func finish(_ result: [UInt8]) -> Bool { (finish(result) as ReplyResult).isAccepted }

    /// Whether ``finish(_:)-(String)->ReplyResult`` was accepted.
    @_disfavoredOverload
    public func finish(_ result: String) -> Bool { (finish(result) as ReplyResult).isAccepted }
}
