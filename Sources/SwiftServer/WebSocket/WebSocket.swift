internal import CReactor

/// A connection in a straight-line handler: the answer to its request, and after ``upgrade(subprotocol:)`` its
/// WebSocket.
///
/// ```swift
/// server.handle("/echo") { request, ws in
///     try await ws.upgrade()
///     for try await frame in ws.frames {
///         try await ws.push(frame)
///     }
/// }
/// ```
///
/// Before the upgrade, the request may be answered as plain HTTP instead: ``status(_:)``, ``header(_:_:)``,
/// ``end(_:)-(String)``. Fields that were added go into the answer to the handshake, too.
///
/// When the client closes, ``recv(timeout:)`` and the sequences end; a handler that waits for something else, and has
/// no message that it has not finished, is cancelled. When the handler returns, an open WebSocket is closed with code
/// 1000. An error that it throws is logged; it closes the WebSocket with code 1011, and is a response with status 500
/// before the upgrade. Several tasks may use one connection; messages that one task pushes keep their order.
@safe public final class WebSocket: @unchecked Sendable {
    // `@unchecked`: what changes is used on the loop's thread only.

    // What each message needs comes first: with thousands of connections none of it is in a cache, and so it is in two
    // lines of one.
    /// The id, which callbacks call `fd`.
    public let id: ConnectionID
    let worker: WorkerContext
    /// The task of the handler while the handler runs, which keeps it. ``cancelHandler()`` wakes all waiting tasks, so
    /// the handler's own waits need no cancellation handler, which would cost time.
    @safe @exclusivity(unchecked) var runner: Uncounted<HandlerRunners.Runner>?
    /// The handler's own task while it waits for a message before all other readers.
    @safe @exclusivity(unchecked) private var parked: UnsafeContinuation<Frame?, Never>?
    @safe @exclusivity(unchecked) private var readers = LazyWaitQueue()
    @safe @exclusivity(unchecked) private var inbox = FrameQueue()
    enum Phase { case asked, opening, open, closed }
    @safe @exclusivity(unchecked) private(set) var phase: Phase
    /// Whether the client has ended its side: what is in the inbox is all there will be.
    @safe @exclusivity(unchecked) private var isInputOver = false
    /// Whether the worker ends and leaves the connection to its successor.
    @safe @exclusivity(unchecked) private var isMoving = false
    /// Whether the handler takes messages at all.
    @safe @exclusivity(unchecked) private var receives = false
    /// Whether the handler has a message that it has not finished: it has not asked for the next one.
    @safe @exclusivity(unchecked) private var hasMessage = false
    @safe @exclusivity(unchecked) private var isPaused = false
    @safe @exclusivity(unchecked) var isPushing = false

    /// The request that began the connection, also when it is resumed.
    public let request: Request
    /// Whether a predecessor of this worker has opened the WebSocket: ``upgrade(subprotocol:)`` returns at once.
    /// The message that the predecessor's handler had in hand is not received again.
    public let isResumed: Bool
    /// Why and how the connection was closed, or is being closed by the client; `nil` before.
    @MainActor public var closeReason: CloseReason? { reason }
    private var reason: CloseReason?
    /// The close frame that the client has sent; `nil` when it has sent none. Known when ``recv(timeout:)`` and the
    /// sequences end.
    @MainActor public var closeFrame: CloseFrame? { reason?.closeFrame }
    /// The subprotocol that was chosen in the handshake; `nil`: none, or the connection is closed.
    public var subprotocol: String? { info?.subprotocol }

    /// The response to the request, until it is answered.
    @safe @exclusivity(unchecked) private var response: Response?
    private let pauses: ReadPauses
    /// Who gets the end of the handler while the handler runs.
    @safe @exclusivity(unchecked) var service: OpenWebSockets?
    /// Whether the handler knows that the connection is left to a successor.
    private(set) var isMoved = false

    @safe @exclusivity(unchecked) private var upgrading = LazyWaitQueue()
    @safe @exclusivity(unchecked) var room = LazyWaitQueue()
    @safe @exclusivity(unchecked) var turns = LazyWaitQueue()

    init(_ request: Request, response: consuming Response?, worker: WorkerContext, pauses: ReadPauses) {
        id = request.fd
        self.request = request
        self.worker = worker
        self.pauses = pauses
        isResumed = response == nil
        phase = isResumed ? .open : .asked
        self.response = consume response
    }

    /// Whether messages can be pushed: the handshake is done, and the connection was not closed.
    @MainActor public var isOpen: Bool { phase == .open && worker.bus.isOpen(id) }

    /// The state of the connection at this moment, `nil` when it is gone.
    public var info: ConnectionInfo? { worker.info(id) }

    // MARK: The answer to the request

    /// Accepts the handshake, and returns when the WebSocket is open.
    ///
    /// - Parameter subprotocol: one of ``Request/subprotocols``, "" for none. `nil`: the first of
    ///   ``Settings/subprotocols`` that the client offers.
    /// - Throws: ``WebSocketError/notHandshake``, ``WebSocketError/answered``, ``WebSocketError/invalidSubprotocol``;
    /// or
    ///   ``WebSocketError/closed`` when the client has left.
    @MainActor public func upgrade(subprotocol: String? = nil) async throws {
        if isResumed { return }
        guard request.isHandshake else { throw WebSocketError.notHandshake }
        if phase == .closed { throw WebSocketError.closed }
        guard phase == .asked, let response, !response.isBegun else { throw WebSocketError.answered }
        if let subprotocol, !subprotocol.isEmpty, !request.subprotocols.contains(subprotocol) {
            throw WebSocketError.invalidSubprotocol
        }
        phase = .opening  // in base mode the WebSocket opens inside the next call
        switch worker.link.upgrade(request.id, subprotocol: subprotocol, fields: response.fields) {
        case .accepted:
            response.handOver()
            self.response = nil
        case .gone:
            phase = .closed
            throw WebSocketError.closed
        case .invalid:
            phase = .asked
            throw WebSocketError.invalidSubprotocol
        }
        // The answer of the connection's owner always arrives, so a cancelled task waits for it, too.
        while phase == .opening { _ = await upgrading.queue.wait(nil, worker.timers) }
        if phase == .closed { throw WebSocketError.closed }
    }

    /// The response, as long as neither it nor the upgrade was sent.
    var undecided: Response? { phase == .asked ? response : nil }

    // MARK: Receiving

    /// The next message. Suspends until one is received; `nil` when the connection is closed and nothing is left.
    ///
    /// - Throws: ``WebSocketError/timedOut`` after `timeout`, ``WebSocketError/moved`` when another worker goes on with
    ///   the connection, ``WebSocketError/notOpen`` before the upgrade, `CancellationError` when the task is cancelled.
    @inlinable public func recv(timeout: Duration? = nil) async throws -> Frame? {
        if let frame = takeReceived() { return frame }
        if timeout == nil, mayPark(), let frame = await park() { return frame }
        return try await recvLater(timeout)
    }

    /// A message that is there already.
    @usableFromInline func takeReceived() -> Frame? {
        guard worker.isHere else { return nil }
        if !inbox.isEmpty, let frame = takeFrame() { return frame }
        return takeNextFrame()
    }

    /// Whether the caller may wait for a message in the cheapest way: it is the handler's own task, whose cancellation
    /// is noticed, and nobody waits already. ``park()`` follows then.
    @usableFromInline func mayPark() -> Bool {
        guard worker.isHere, phase == .open, !isInputOver, !isMoving, unsafe parked == nil, readers.isEmpty, let runner,
            runner.with({ $0.isCurrent && !$0.isCancelled })
        else { return false }
        (receives, hasMessage) = (true, false)
        return true
    }

    /// Waits for a message; `nil`: something else has happened. It is compiled into the handler's loop, so that no
    /// asynchronous function is between that and the continuation.
    @inlinable @inline(__always) func park() async -> Frame? {
        unsafe await withUnsafeContinuation { unsafe parkAt($0) }
    }

    @usableFromInline func parkAt(_ continuation: UnsafeContinuation<Frame?, Never>) { unsafe parked = continuation }

    /// Wakes the parked task to look what has happened, if there is one.
    private func unpark() { unsafe parked.take()?.resume(returning: nil) }

    @usableFromInline @MainActor func recvLater(_ timeout: Duration?) async throws -> Frame? {
        receives = true
        hasMessage = false
        while true {
            if let frame = takeFrame() { return frame }
            guard phase == .open else {
                if phase == .closed { return nil }
                throw WebSocketError.notOpen
            }
            if isInputOver { return nil }
            if isMoving { throw move() }
            try Task.checkCancellation()
            switch await readers.queue.wait(timeout, worker.timers, noticesCancellation: !isInHandler) {
            case .event: continue
            case .timedOut: throw WebSocketError.timedOut
            case .cancelled: if !isMoving { throw CancellationError() }
            }
        }
    }

    private var isInHandler: Bool { runner?.with { $0.isCurrent } ?? false }

    /// Cancels the handler's task, which has no other way to notice that.
    func cancelHandler() {
        // Counted: what the application does when it is cancelled may end the handler.
        guard let runner = runner?.object, runner.cancel() else { return }
        unpark()
        wakeAll(.cancelled)
    }

    private func wakeAll(_ wakeup: WaitQueue.Wakeup) {
        for queue in [upgrading, readers, turns, room] where !queue.isEmpty { queue.wakeAll(wakeup) }
    }

    private func takeFrame() -> Frame? {
        guard let item = inbox.takeFirst() else { return nil }
        worker.link.drop(item.ticket)
        hasMessage = true
        if isPaused, inbox.isLow { setPaused(false) }
        return item.frame
    }

    private func takeNextFrame() -> Frame? {
        guard phase == .open, !isMoving, let frame = worker.takeMessage(id) else { return nil }
        hasMessage = true
        return frame
    }

    private func setPaused(_ isPaused: Bool) {
        self.isPaused = isPaused
        pauses.pause(id, isPaused)
    }

    /// The messages as they arrive, up to the close of the connection.
    public var frames: Frames { Frames(socket: self, maxSize: nil) }

    /// The messages as they arrive. The first one that is larger than `maxSize` bytes closes the connection with code
    /// 1009 and ends the sequence.
    public func messages(maxSize: Int) -> Frames { Frames(socket: self, maxSize: maxSize) }

    // MARK: The end

    /// Closes the WebSocket after its pending output was sent, with a closing handshake. Messages that were received
    /// before can still be taken. A handshake that was not answered is refused with status 403.
    public func close(code: UInt16 = 1000, reason: String = "") {
        guard worker.isHere, phase == .asked else {
            _ = worker.close(id, code: code, reason: reason)
            return
        }
        MainActor.assumeIsolated {
            response?.status(403)
            response?.end()
        }
    }

    /// Another worker goes on with the connection: what the handler gets for that.
    func move() -> WebSocketError {
        isMoved = true
        return .moved
    }

    /// Whether the handler has a message to answer, or will take one that was received.
    private var isBusy: Bool { hasMessage || receives && !inbox.isEmpty }

    /// Whether the handler should end for its successor.
    var isLeaving: Bool { isMoving && !isBusy }
}

// MARK: - Events of the connection

extension WebSocket {
    /// The handshake was answered.
    func opened() {
        guard phase == .opening else { return }
        phase = .open
        upgrading.wakeAll()
    }

    /// Gives the message to the parked task or queues it. Returns whether it is queued. Neither runs other code.
    func receive(_ frame: consuming Frame) -> Bool {
        guard phase == .open else { return false }
        if let continuation = unsafe parked.take() {
            hasMessage = true
            unsafe continuation.resume(returning: consume frame)
            return false
        }
        inbox.append(consume frame)
        if !isPaused, inbox.isHigh { setPaused(true) }
        readers.wakeFirst()
        return true
    }

    /// Keeps the message that was received last for a successor, unless the handler has taken it.
    func deferLast() { if !inbox.isEmpty { inbox.deferLast(worker.link.deferEvent()) } }

    /// The client has ended its side.
    func inputEnded(_ reason: CloseReason?) {
        self.reason = reason
        isInputOver = true
        unpark()
        readers.wakeAll()
    }

    /// Returns whether the handler notices by itself.
    func closed(_ reason: CloseReason?) -> Bool {
        let isWaiting = phase != .open || isReading || isPushing
        phase = .closed
        if let reason { self.reason = reason }
        if isPaused { setPaused(false) }
        unpark()
        wakeAll(.event)
        return isWaiting || isBusy
    }

    private var isReading: Bool { unsafe parked != nil || !readers.isEmpty }

    /// The worker ends, and another one will serve the connection. Returns whether the handler notices by itself.
    func leave() -> Bool {
        isMoving = true
        let isWaiting = isReading
        unpark()
        readers.wakeAll()
        return isWaiting || isBusy
    }

    /// The handler has returned, or failed.
    @MainActor func handlerEnded(_ error: (any Error)?) {
        switch phase {
        case .asked:
            response?.conclude(error)
            if let response = response.take() { Response.leave(consume response) }
        case .opening, .open:
            if isMoved || isMoving && error is CancellationError { return }
            if error as? WebSocketError == .timedOut {
                close(code: 1001, reason: "timeout")
            } else if let error, !(error is CancellationError) {
                worker.close(id, because: error)
            } else {
                close(code: 0)  // 1000, or the code of the client that has closed
            }
        case .closed: break
        }
        while let item = inbox.takeFirst() { worker.link.drop(item.ticket) }
    }
}

extension WebSocket: Identifiable, Hashable {
    /// Whether both are the same connection.
    public static func == (a: WebSocket, b: WebSocket) -> Bool { a.id == b.id }

    /// Hashes the id.
    public func hash(into hasher: inout Hasher) { hasher.combine(id) }
}
