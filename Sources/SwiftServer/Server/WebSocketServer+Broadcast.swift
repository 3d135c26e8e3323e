internal import CReactor
internal import CReactorInternal

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

    /// The same straight from borrowed bytes.
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
    public func subscribe(_ fd: ConnectionID, to topic: String) -> Bool { subscribe(fd, topic, true) }

    /// Ends a subscription. False when the connection is gone.
    @discardableResult
    public func unsubscribe(_ fd: ConnectionID, from topic: String) -> Bool { subscribe(fd, topic, false) }

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

    /// The same straight from borrowed bytes.
    @discardableResult
    public func publish(
        _ topic: String, _ bytes: RawSpan, opcode: Opcode = .binary, except: ConnectionID? = nil
    ) -> PushResult {
        unsafe bytes.withUnsafeBytes { unsafe send(topic, $0, opcode, except) }
    }

    // MARK: -

    /// `topic` nil: to all.
    private func send(
        _ topic: String?, _ bytes: UnsafeRawBufferPointer, _ opcode: Opcode, _ except: ConnectionID?
    ) -> PushResult {
        guard let runtime else { return .closed }
        guard !runtime.isHere else { return unsafe runtime.publish(topic, opcode, bytes, except: except) }
        guard opcode == .text || opcode == .binary, topic.map({ (1...255).contains($0.utf8.count) }) ?? true else {
            return .invalid
        }
        let copy = unsafe [UInt8](bytes)
        runtime.loop.post {
            unsafe copy.withUnsafeBytes { _ = unsafe runtime.publish(topic, opcode, $0, except: except) }
        }
        return .queued
    }

    private func subscribe(_ fd: ConnectionID, _ topic: String, _ on: Bool) -> Bool {
        guard let runtime else { return false }
        guard !runtime.isHere else { return runtime.subscribe(fd, topic, on) }
        guard isEstablished(fd), (1...255).contains(topic.utf8.count) else { return false }
        runtime.loop.post { _ = runtime.subscribe(fd, topic, on) }
        return true
    }
}

extension WorkerRuntime {
    /// To a topic, or with nil to all.
    fileprivate func publish(
        _ topic: String?, _ opcode: Opcode, _ bytes: UnsafeRawBufferPointer, except: ConnectionID?
    ) -> PushResult {
        let session = except?.rawValue ?? 0
        guard var topic else {
            return unsafe PushResult(
                cre_worker_broadcast(worker, opcode.rawValue, bytes.baseAddress, bytes.count, session),
                local: ownsAll)
        }
        return topic.withUTF8 {
            unsafe PushResult(
                cre_worker_publish(
                    worker, $0.baseAddress, $0.count, opcode.rawValue, bytes.baseAddress, bytes.count, session),
                local: ownsAll)
        }
    }

    fileprivate func subscribe(_ fd: ConnectionID, _ topic: String, _ on: Bool) -> Bool {
        var topic = topic
        return topic.withUTF8 { unsafe cre_worker_subscribe(worker, fd.rawValue, $0.baseAddress, $0.count, on) } == 0
    }

    /// Whether all connections of the server are this process's own.
    private var ownsAll: Bool { unsafe cre_worker_engine(worker) != nil && server.settings.workerCount == 1 }
}
