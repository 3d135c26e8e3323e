internal import CReactor
internal import CReactorInternal
internal import Glibc

/// Commands to single connections, and to all that are silent.
extension Server {
    /// Stops reading from a connection: what the client sends waits in the system's buffers, until they are full and
    /// the client has to wait. Its close is noticed when it is read again. From any worker, on any thread; an
    /// asynchronous handler pauses by itself when many events of its connection wait.
    @discardableResult
    public func pause(_ fd: ConnectionID) -> CommandResult {
        worker?.run(CRE_COMMAND_PAUSE, fd, opcode: 1) ?? .notInWorker
    }

    /// Reads from a connection again after ``pause(_:)->CommandResult``.
    @discardableResult
    public func resume(_ fd: ConnectionID) -> CommandResult {
        worker?.run(CRE_COMMAND_RESUME, fd, opcode: 1) ?? .notInWorker
    }

    /// Closes a connection. With `reset` its pending output is dropped, no closing handshake takes place, and the
    /// client gets a connection reset; without it this is ``close(_:code:reason:)->CommandResult``.
    @discardableResult
    public func close(_ fd: ConnectionID, reset: Bool) -> CommandResult {
        reset ? worker?.run(CRE_COMMAND_RESET, fd) ?? .notInWorker : close(fd)
    }

    /// Finds the WebSockets and connections of `.tcp` ports that have sent nothing for some time, and closes them.
    /// ``Settings/heartbeatIdleTime`` does so by itself. Connections with ``protect(_:_:)->CommandResult`` are
    /// passed over.
    ///
    /// - Parameters:
    ///   - idle: the time; `nil`: ``Settings/heartbeatIdleTime``, or twice ``Settings/heartbeatCheckInterval``.
    ///     Without any of them nothing is found.
    ///   - closes: whether the connections are closed, as by ``close(_:code:reason:)->CommandResult``.
    /// - Returns: the silent connections of all workers.
    @discardableResult
    public func heartbeat(idle: Duration? = nil, closes: Bool = true) -> [ConnectionID] {
        guard let limit = idle ?? settings.heartbeatIdleTime ?? settings.heartbeatCheckInterval.map({ $0 * 2 }) else {
            return []
        }
        let oldest = Double(Request.milliseconds(CLOCK_REALTIME) - Int64(limit.milliseconds)) / 1000
        let silent = connections.filter { fd in
            guard let info = connectionInfo(fd), !info.isProtected, info.lastReceiveTime <= oldest else { return false }
            return info.webSocketStatus == .established || ports[info.portIndex].type == .tcp
        }
        if closes { for fd in silent { close(fd, reason: "heartbeat") } }
        return silent
    }
}

extension WebSocketServer {
    /// Sends a ping. The client answers with a pong, which only shows in ``ConnectionInfo/lastReceiveTime``.
    ///
    /// - Parameters:
    ///   - fd: an open WebSocket.
    ///   - bytes: at most 125 bytes, which the pong repeats.
    @discardableResult
    public func ping(_ fd: ConnectionID, _ bytes: [UInt8] = []) -> PushResult { push(bytes, to: fd, opcode: .ping) }
}

extension WorkerContext {
    /// Gives a command without a payload. Any thread.
    func run(_ kind: cre_command, _ fd: ConnectionID, opcode: UInt8 = 0) -> CommandResult {
        guard bus.exists(fd) else { return .closed }
        if isHere { return link.command(kind, fd, opcode: opcode) }
        loop.post { [link] in _ = link.command(kind, fd, opcode: opcode) }
        return .queued
    }
}
