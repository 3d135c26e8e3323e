extension WebSocket {
    /// Sends a text message. Suspends while the output queue of the client is full.
    ///
    /// - Throws: ``WebSocketError/closed``, ``WebSocketError/invalidMessage``, ``WebSocketError/notOpen``, or
    ///   `CancellationError` when the task is cancelled while it waits: then nothing was sent.
    public func push(_ text: String) async throws {
        if worker.isHere, !isPushing, try isAccepted(worker.push(text, to: id)) { return }
        try await pushLater { [self] in worker.push(text, to: id) }
    }

    /// Sends a message, binary unless `opcode` says otherwise; see ``push(_:)-(String)``. With `finish: false` it is a
    /// fragment: the first has the message's opcode, the others ``Opcode/continuation``, the last `finish: true`.
    public func push(_ bytes: [UInt8], opcode: Opcode = .binary, finish: Bool = true) async throws {
        if worker.isHere, !isPushing, try isAccepted(worker.push(bytes, to: id, opcode: opcode, finish: finish)) {
            return
        }
        try await pushLater { [self] in worker.push(bytes, to: id, opcode: opcode, finish: finish) }
    }

    /// Sends a frame with its own opcode, as an echo does; see ``push(_:)-(String)``. A close frame begins the closing
    /// handshake, as ``close(code:reason:)`` does.
    @inlinable public func push(_ frame: Frame) async throws {
        if try !pushAtOnce(frame) { try await pushWithRoom(frame) }
    }

    /// False when there is no room for the frame now.
    @usableFromInline func pushAtOnce(_ frame: Frame) throws -> Bool {
        if frame.opcode == .close {
            try push(close: frame)
            return true
        }
        return try worker.isHere && !isPushing && isAccepted(worker.push(frame, to: id))
    }

    @usableFromInline func pushWithRoom(_ frame: Frame) async throws {
        try await pushLater { [self] in worker.push(frame, to: id) }
    }

    /// Subscribes the connection to a topic; see ``WebSocketServer/subscribe(_:to:)``.
    @discardableResult public func subscribe(to topic: String) -> PushResult { worker.subscribe(id, topic, true) }

    /// Subscribes the connection to a topic with history, and sends it what its client has missed; see
    /// ``WebSocketServer/subscribe(_:to:since:timeout:)``.
    public func subscribe(
        to topic: String, since position: TopicPosition?, timeout: Duration = .seconds(5)
    ) async -> TopicRecovery {
        await worker.subscribe(id, topic, since: position, timeout: timeout)
    }

    /// Subscribes the connection to a topic as a member of it; see ``WebSocketServer/subscribe(_:to:as:info:)``.
    @discardableResult public func subscribe(to topic: String, as id: String, info: String = "") -> PushResult {
        worker.join(self.id, topic, TopicMember(id: id, info: info))
    }

    /// Ends a subscription.
    @discardableResult public func unsubscribe(from topic: String) -> PushResult { worker.subscribe(id, topic, false) }

    /// Makes the connection one of a user's; see ``WebSocketServer/bind(_:to:)->CommandResult``.
    @discardableResult public func bind(to user: String) -> CommandResult { worker.bind(id, to: user) }

    /// Ends that; see ``WebSocketServer/unbind(_:)->CommandResult``.
    @discardableResult public func unbind() -> CommandResult { worker.unbind(id) }

    private func push(close frame: Frame) throws {
        guard let closing = frame.closeFrame, frame.finish else { throw WebSocketError.invalidMessage }
        guard phase == .open else { throw phase == .closed ? WebSocketError.closed : WebSocketError.notOpen }
        close(code: closing.code == 1005 ? 1000 : closing.code, reason: closing.reason)
    }

    /// False when there is no room for the message now.
    private func isAccepted(_ result: PushResult) throws -> Bool {
        if isLeaving { throw move() }
        switch result {
        case .sent, .queued: return true
        case .full: return false
        case .closed: throw WebSocketError.closed
        case .notWebSocket: throw WebSocketError.notOpen
        default: throw WebSocketError.invalidMessage
        }
    }

    /// The first interval at which a push is tried again, and the last one: each is twice the one before. The queue of
    /// the client wakes it earlier; that of the link to another process does not.
    private static let retryIntervals: ClosedRange<Duration> = .milliseconds(2) ... .milliseconds(250)

    /// Pushes when there is room, and after those that came before.
    @MainActor private func pushLater(_ push: @Sendable () -> PushResult) async throws {
        if isPushing {
            guard case .event = await turns.queue.wait(nil, worker.timers) else { throw CancellationError() }
        }
        isPushing = true
        defer { passOn() }
        var interval = WebSocket.retryIntervals.lowerBound
        while try !isAccepted(push()) {
            try Task.checkCancellation()
            if await room.queue.wait(interval, worker.timers) == .cancelled { throw CancellationError() }
            interval = min(interval * 2, WebSocket.retryIntervals.upperBound)
        }
    }

    /// The next one has its turn.
    private func passOn() {
        if !turns.wakeFirst() { isPushing = false }
    }
}
