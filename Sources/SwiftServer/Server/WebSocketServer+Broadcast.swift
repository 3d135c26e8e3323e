/// One message to many connections: those that subscribed to a topic, or all.
///
/// A message is encoded once per process that owns sockets, not once per receiver, and everything that is published at
/// about the same time leaves in one write per connection. A receiver that is slow does not hold up the others: while
/// its output is full (``Settings/maxQueue``) it goes without the message or is closed, as ``Settings/slowReceivers``
/// says.
///
/// **Order.** A connection gets what one worker pushes, publishes and broadcasts in the order of the calls; a
/// subscription counts from the call on. Between workers there is no order.
///
/// **Results.** ``PushResult/sent`` when all connections are this worker's own, ``PushResult/queued`` when the message
/// is on its way to other processes, ``PushResult/full`` when it did not reach all of them since one cannot keep up,
/// ``PushResult/invalid`` for a message or topic that may not be. How many connections get it is not known here, and
/// none is no error.
extension WebSocketServer {
    /// Sends a text message to all open WebSockets of the server. From any worker, on any thread.
    @discardableResult
    public func broadcast(_ text: String, except: ConnectionID? = nil) -> PushResult {
        var text = text
        return text.withUTF8 { unsafe send(nil, UnsafeRawBufferPointer($0), .text, except) }
    }

    /// Sends a message, binary unless `opcode` says text, to all open WebSockets of the server.
    @discardableResult
    public func broadcast(_ bytes: [UInt8], opcode: Opcode = .binary, except: ConnectionID? = nil) -> PushResult {
        unsafe bytes.withUnsafeBytes { unsafe send(nil, $0, opcode, except) }
    }

    /// Sends a message from borrowed bytes to all open WebSockets of the server.
    @discardableResult
    public func broadcast(_ bytes: RawSpan, opcode: Opcode = .binary, except: ConnectionID? = nil) -> PushResult {
        unsafe bytes.withUnsafeBytes { unsafe send(nil, $0, opcode, except) }
    }

    /// Subscribes an open WebSocket to a topic, a name of 1 to 255 bytes that exists while somebody is subscribed. A
    /// subscription ends with its connection. From any worker, on any thread.
    ///
    /// - Returns: false when the connection is gone or no WebSocket, the name is too long, or, as far as it is known
    ///   here, there are too many topics (``Settings/maxTopics``, ``Settings/maxSubscriptions``).
    @discardableResult
    public func subscribe(_ fd: ConnectionID, to topic: String) -> Bool {
        worker?.subscribe(fd, topic, true) ?? false
    }

    /// Ends a subscription. False when the connection is gone.
    @discardableResult
    public func unsubscribe(_ fd: ConnectionID, from topic: String) -> Bool {
        worker?.subscribe(fd, topic, false) ?? false
    }

    /// Sends a text message to the connections that are subscribed to a topic, in all processes.
    @discardableResult
    public func publish(_ topic: String, _ text: String, except: ConnectionID? = nil) -> PushResult {
        var text = text
        return text.withUTF8 { unsafe send(topic, UnsafeRawBufferPointer($0), .text, except) }
    }

    /// Sends a message, binary unless `opcode` says text, to the connections that are subscribed to a topic.
    @discardableResult
    public func publish(
        _ topic: String, _ bytes: [UInt8], opcode: Opcode = .binary, except: ConnectionID? = nil
    ) -> PushResult {
        unsafe bytes.withUnsafeBytes { unsafe send(topic, $0, opcode, except) }
    }

    /// Sends a message from borrowed bytes to the connections that are subscribed to a topic.
    @discardableResult
    public func publish(
        _ topic: String, _ bytes: RawSpan, opcode: Opcode = .binary, except: ConnectionID? = nil
    ) -> PushResult {
        unsafe bytes.withUnsafeBytes { unsafe send(topic, $0, opcode, except) }
    }

    // MARK: -

    /// Publishes to a topic, or with `nil` to all open WebSockets.
    private func send(
        _ topic: String?, _ bytes: UnsafeRawBufferPointer, _ opcode: Opcode, _ except: ConnectionID?
    ) -> PushResult {
        guard let worker else { return .closed }
        return unsafe worker.publish(topic, bytes, opcode, except: except)
    }
}
