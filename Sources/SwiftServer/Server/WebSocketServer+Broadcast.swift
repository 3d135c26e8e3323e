/// One message to many connections: those subscribed to a topic, or all.
///
/// A message is encoded once per process that owns sockets, not once per receiver, and messages published at about the
/// same time leave in one write per connection. A slow receiver does not delay the others: while its output queue is
/// full (``Settings/maxQueue``), it misses the message or is closed, depending on ``Settings/slowReceivers``.
///
/// **Order.** A connection receives the messages that one worker pushes, publishes and broadcasts in the order of the
/// calls; a subscription takes effect at once. Between workers there is no order.
///
/// **Results.** ``PushResult/sent`` when this worker owns all connections, ``PushResult/queued`` when the message is on
/// its way to other processes, ``PushResult/full`` when one of them has no room for it, ``PushResult/invalid`` for an
/// invalid message or topic. The number of receivers is not known here, and no receivers are no error.
extension WebSocketServer {
    /// Sends a text message to all open WebSockets of the server, or of all servers of its cluster. From any worker, on
    /// any thread.
    ///
    /// - Parameters:
    ///   - text: the message.
    ///   - scope: whose WebSockets get it.
    ///   - except: a connection of this server that does not get it.
    @discardableResult
    public func broadcast(_ text: String, scope: BroadcastScope = .server, except: ConnectionID? = nil) -> PushResult {
        var text = text
        return text.withUTF8 { unsafe send(scope.audience, UnsafeRawBufferPointer($0), .text, except) }
    }

    /// Sends a message, binary unless `opcode` says text, to all open WebSockets of the server or its cluster.
    @discardableResult
    public func broadcast(
        _ bytes: [UInt8], opcode: Opcode = .binary, scope: BroadcastScope = .server, except: ConnectionID? = nil
    ) -> PushResult {
        unsafe bytes.withUnsafeBytes { unsafe send(scope.audience, $0, opcode, except) }
    }

    /// Sends a message from borrowed bytes to all open WebSockets of the server or its cluster.
    @discardableResult
    public func broadcast(
        _ bytes: RawSpan, opcode: Opcode = .binary, scope: BroadcastScope = .server, except: ConnectionID? = nil
    ) -> PushResult {
        unsafe bytes.withUnsafeBytes { unsafe send(scope.audience, $0, opcode, except) }
    }

    /// Subscribes an open WebSocket to a topic, a name of 1 to 255 bytes that exists while it has subscribers. Names
    /// that begin with "$sws:" are reserved. A subscription ends with its connection. From any worker, on any thread.
    ///
    /// - Returns: ``PushResult/sent``, or ``PushResult/queued`` when another process owns the connection;
    ///   ``PushResult/closed`` and ``PushResult/notWebSocket`` for a connection that is gone or no open WebSocket,
    ///   ``PushResult/invalid`` for another name, and where this process owns the connection
    ///   ``PushResult/limitReached``.
    @discardableResult
    public func subscribe(_ fd: ConnectionID, to topic: String) -> PushResult {
        worker?.subscribe(fd, topic, true) ?? .closed
    }

    /// Ends a subscription. Returns the same results as ``subscribe(_:to:)``.
    @discardableResult
    public func unsubscribe(_ fd: ConnectionID, from topic: String) -> PushResult {
        worker?.subscribe(fd, topic, false) ?? .closed
    }

    /// Sends a text message to the connections that are subscribed to a topic, in all processes.
    @discardableResult
    public func publish(_ text: String, to topic: String, except: ConnectionID? = nil) -> PushResult {
        var text = text
        return text.withUTF8 { unsafe send(.topic(topic), UnsafeRawBufferPointer($0), .text, except) }
    }

    /// Sends a message, binary unless `opcode` says text, to the connections that are subscribed to a topic.
    @discardableResult
    public func publish(
        _ bytes: [UInt8], to topic: String, opcode: Opcode = .binary, except: ConnectionID? = nil
    ) -> PushResult {
        unsafe bytes.withUnsafeBytes { unsafe send(.topic(topic), $0, opcode, except) }
    }

    /// Sends a message from borrowed bytes to the connections that are subscribed to a topic.
    @discardableResult
    public func publish(
        _ bytes: RawSpan, to topic: String, opcode: Opcode = .binary, except: ConnectionID? = nil
    ) -> PushResult {
        unsafe bytes.withUnsafeBytes { unsafe send(.topic(topic), $0, opcode, except) }
    }

    /// Sends a frame with its own opcode to the connections that are subscribed to a topic.
    @discardableResult
    public func publish(_ frame: Frame, to topic: String, except: ConnectionID? = nil) -> PushResult {
        unsafe frame.withBuffer { unsafe send(.topic(topic), $0, frame.opcode, except) }
    }

    // MARK: -

    private func send(
        _ audience: Audience, _ bytes: UnsafeRawBufferPointer, _ opcode: Opcode, _ except: ConnectionID?
    ) -> PushResult {
        guard let worker else { return .closed }
        return unsafe worker.publish(audience, bytes, opcode, except: except)
    }
}
