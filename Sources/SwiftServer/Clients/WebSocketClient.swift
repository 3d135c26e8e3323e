internal import CReactor

/// An asynchronous WebSocket client.
///
/// ```swift
/// let client = try await WebSocketClient.connect("wss://example.com/chat") {
///     $0.subprotocols = ["chat"]
///     $0.reconnects = .exponential(from: .seconds(1), upTo: .seconds(30))
/// }
/// try await client.push("hello")
/// for try await frame in client.frames {
///     print(frame.text)
/// }
/// ```
///
/// In a process of a server it runs on the event loop of that process, beside its handlers, so a worker can be a client
/// of another server. When the server stops and its program continues, the client ends with a ``ClientError``, also
/// while it waits to connect again; the main actor then runs the code of its tasks, so it must not be blocked. In a
/// program without a server it runs on a thread of its own, which it shares with other clients; `start()` of a server
/// then refuses to run, because a process with threads cannot be forked safely.
///
/// Several tasks may use one client; messages that one task pushes keep their order. When the last reference to a
/// client goes, its connection is closed without a closing handshake.
public actor WebSocketClient {
    /// What a client is doing.
    public enum State: Sendable, Hashable {
        /// It connects; the first attempt, or the first after an open connection, has the number 1.
        case connecting(attempt: Int)
        /// The WebSocket is open.
        case open
        /// The connection has ended with this cause, `nil` for a close in order, and the client connects again after
        /// this time.
        case waiting(Duration, ClientError?)
        /// The client has ended.
        case closed
    }

    nonisolated let loop: ClientLoop
    private let settings: WebSocketClientSettings
    private let options: ClientOptions
    /// The URL.
    public nonisolated let url: String

    /// What the client is doing; see ``WebSocketClientSettings/onState``.
    public private(set) var state = State.connecting(attempt: 1)
    /// How the last connection was closed; `nil` before.
    public private(set) var closeReason: ClientClose?
    /// The subprotocol that the server chose.
    public private(set) var subprotocol: String?
    /// Whether messages are compressed.
    public private(set) var isCompressed = false

    private var link: ClientLink?
    private var failure: ClientError?
    private var hasOpened = false
    private var isClosing = false
    private var attempt = 1
    private var retry: ClientRetry?

    private var inbox = FrameQueue()
    private var isPaused = false
    /// Whether the server has sent an invalid frame, so that the connection ends when all before is answered.
    private var isFailing = false
    /// Whether the program has a message that it has not finished: it has not asked for the next one.
    private var hasMessage = false
    private var isPushing = false
    private let opening = WaitQueue()
    private let readers = WaitQueue()
    private let room = WaitQueue()
    private let turns = WaitQueue()
    private let closing = WaitQueue()

    /// The number of tasks that wait for a message, or for an open connection to push on.
    var waitingTasks: Int { readers.count + room.count }

    /// The event loop's thread.
    public nonisolated var unownedExecutor: UnownedSerialExecutor {
        unsafe loop.loop.executor.asUnownedSerialExecutor()
    }

    // MARK: Connecting

    /// Connects to a `ws:` or `wss:` URL, and returns when the WebSocket is open.
    ///
    /// - Parameters:
    ///   - url: for example "wss://example.com/chat?room=1".
    ///   - configure: changes the settings; see ``WebSocketClientSettings``.
    /// - Throws: ``ClientError`` when the first attempt fails, also with
    ///   ``WebSocketClientSettings/reconnects``; `CancellationError` when the task is cancelled.
    public static func connect(
        _ url: String, _ configure: (inout WebSocketClientSettings) -> Void = { _ in }
    ) async throws -> WebSocketClient {
        var settings = WebSocketClientSettings()
        configure(&settings)
        let client = try WebSocketClient(url, settings, ClientLoop.current())
        try await client.open()
        return client
    }

    init(_ text: String, _ settings: WebSocketClientSettings, _ loop: ClientLoop) throws(ClientError) {
        let url = try ClientURL(text, .webSocket)
        options = try settings.options(for: url, tls: url.isSecure ? ClientTLSContext(settings.tls) : nil)
        self.url = text
        self.settings = settings
        self.loop = loop
    }

    deinit {
        if link == nil, retry == nil { return }
        loop.post { [link, retry] in
            link?.abort()
            retry?.cancel()
        }
    }

    func open() async throws {
        begin()
        while !hasOpened, state != .closed {
            if await opening.wait(nil, loop.timers) == .cancelled {
                end(failure: nil)
                throw CancellationError()
            }
        }
        if !hasOpened { throw failure ?? ClientError(.closed, "the client was closed") }
    }

    /// Starts an attempt.
    private func begin() {
        set(.connecting(attempt: attempt))
        let link = ClientLink(self, loop)
        do {
            try loop.connect(options, timeout: settings.connectTimeout, link)
            self.link = link
        } catch {
            end(failure: error)
        }
    }

    private func set(_ state: State) {
        self.state = state
        settings.onState?(state)
    }

    // MARK: Receiving

    /// The next text or binary message; its `fd` is 0. Suspends until there is one, over all connections of the client.
    ///
    /// - Returns: `nil` when the client was closed, or the server closed with a closing handshake; see ``closeReason``.
    /// - Throws: ``ClientError/Code/timedOut`` after `timeout`, `CancellationError` when the task is cancelled; the
    ///   client remains usable. Another ``ClientError`` when the connection ended in another way.
    public func recv(timeout: Duration? = nil) async throws -> Frame? {
        hasMessage = false
        while true {
            if let frame = inbox.takeFirst()?.frame {
                hasMessage = true
                if isPaused, inbox.isLow { setPaused(false) }
                return frame
            }
            if isFailing { conclude() }
            if state == .closed {
                if let failure { throw failure }
                return nil
            }
            try Task.checkCancellation()
            switch await readers.wait(timeout, loop.timers) {
            case .event: continue
            case .timedOut:
                throw ClientError(.timedOut, "nothing was received from \(options.name) within \(timeout!)")
            case .cancelled: throw CancellationError()
            }
        }
    }

    private func setPaused(_ isPaused: Bool) {
        self.isPaused = isPaused
        link?.pause(isPaused)
    }

    /// The messages as they arrive, over all connections of the client, up to its end.
    public nonisolated var frames: ClientFrames { ClientFrames(client: self, maxSize: nil) }

    /// The messages as they arrive. The first one that is larger than `maxSize` bytes closes the client with code 1009
    /// and ends the sequence.
    public nonisolated func messages(maxSize: Int) -> ClientFrames { ClientFrames(client: self, maxSize: maxSize) }

    // MARK: Sending

    /// Sends a text message; see ``push(_:opcode:finish:)``.
    public func push(_ text: String) async throws { try await push(Array(text.utf8), opcode: .text) }

    /// Sends a message, binary unless `opcode` says otherwise. Suspends while the output queue is full, and while the
    /// client connects again. With `finish: false` it is a fragment: the first has the message's opcode, the others
    /// ``Opcode/continuation``, the last `finish: true`.
    ///
    /// - Throws: ``ClientError/Code/closed`` when the client has ended, ``ClientError/Code/invalidMessage``, or
    ///   `CancellationError` when the task is cancelled while it waits: then nothing was sent.
    public func push(_ bytes: [UInt8], opcode: Opcode = .binary, finish: Bool = true) async throws {
        if isPushing {
            guard case .event = await turns.wait(nil, loop.timers) else { throw CancellationError() }
        }
        isPushing = true
        defer { passOn() }
        let first = opcode.rawValue | (finish ? UInt8(CRE_WS_FIN) : 0)
        while try !isSent(bytes, first) {
            try Task.checkCancellation()
            if await room.wait(nil, loop.timers) == .cancelled { throw CancellationError() }
        }
    }

    /// Sends a frame with its own opcode; see ``push(_:opcode:finish:)``.
    public func push(_ frame: Frame) async throws {
        try await push(frame.bytes, opcode: frame.opcode, finish: frame.finish)
    }

    /// Sends a ping with up to 125 bytes.
    public func ping(_ bytes: [UInt8] = []) async throws { try await push(bytes, opcode: .ping) }

    /// False when the message cannot be sent now.
    private func isSent(_ bytes: [UInt8], _ first: UInt8) throws(ClientError) -> Bool {
        if state == .closed || isClosing {
            throw failure ?? ClientError(.closed, "cannot send to \(options.name): the client is closed")
        }
        guard state == .open, let link else { return false }
        let result = link.push(bytes, first)
        switch result {
        case 0: return true
        case CRE_EQUEUE_FULL.rawValue:
            link.awaitDrain()
            return false
        case CRE_ESTATE.rawValue: return false  // the server closes; what follows decides
        default: throw ClientError(.invalidMessage, "cannot send to \(options.name): \(errorText(result))")
        }
    }

    /// The next one has its turn.
    private func passOn() {
        if !turns.wakeFirst() { isPushing = false }
    }

    // MARK: The end

    /// Closes the WebSocket with a closing handshake, and returns when the connection is closed, after
    /// ``WebSocketClientSettings/closeTimeout`` at the latest. The client does not connect again. Messages that were
    /// received before can still be taken.
    public func close(code: UInt16 = 1000, reason: String = "") async throws {
        guard cre_ws_close_code_valid(UInt32(code)) else {
            throw ClientError.argument("code must be a valid close code, such as 1000 or 4000, got \(code)")
        }
        if state == .open {
            if !isClosing {
                isClosing = true
                link?.close(code: code, reason: reason)
                room.wakeAll()
            }
            while state != .closed, await closing.wait(nil, loop.timers) == .event {}
        } else if state != .closed {
            end(failure: nil)
        }
    }

    /// The client has ended, or ends now.
    private func end(failure: ClientError?) {
        if state == .closed { return }
        self.failure = failure
        link?.abort()
        link = nil
        retry?.cancel()
        retry = nil
        set(.closed)
        for queue in [opening, readers, room, turns, closing] { queue.wakeAll() }
    }
}

// MARK: - Events of the connection

extension WebSocketClient {
    func opened(_ subprotocol: String?, _ isCompressed: Bool) {
        self.subprotocol = subprotocol
        self.isCompressed = isCompressed
        hasOpened = true
        attempt = 1
        set(.open)
        opening.wakeAll()
        room.wakeAll()
        if isPaused { link?.pause(true) }
    }

    func received(_ frame: Frame) {
        inbox.append(frame)
        if !isPaused, inbox.isHigh { setPaused(true) }
        readers.wakeFirst()
    }

    func receivedPong(_ payload: [UInt8]) { settings.onPong?(payload) }

    func drained() { room.wakeAll() }

    /// The server has sent an invalid frame. What was received before is answered first.
    func failing() {
        isFailing = true
        if !hasMessage, inbox.isEmpty { conclude() }
    }

    private func conclude() {
        isFailing = false
        link?.conclude()
    }

    func ended(_ ending: ClientEnding) {
        isFailing = false
        link = nil
        if ending.isOpened { closeReason = ClientClose(ending) }
        let isLost = hasOpened && !isClosing
        let action = ending.isOpened ? "the connection to \(options.name) ended" : "cannot connect to \(options.name)"
        let cause = ending.cause == 0 ? nil : ending.error(action)
        guard isLost, ReconnectPolicy.mayFollow(ending),
            let delay = settings.reconnects.delay(before: attempt, random: .random(in: 0...1))
        else {
            end(failure: isClosing ? nil : cause)
            return
        }
        set(.waiting(delay, cause))
        retry = ClientRetry(self, loop, after: delay)
    }

    func again() {
        retry = nil
        begin()
        attempt += 1
    }

    func loopEnded() {
        isFailing = false
        link = nil
        end(failure: ClientLoop.ended)
    }
}

/// The messages of a ``WebSocketClient``, up to its end: what ``WebSocketClient/frames`` returns.
public struct ClientFrames: AsyncSequence, Sendable {
    /// A message.
    public typealias Element = Frame

    let client: WebSocketClient
    let maxSize: Int?

    /// Starts to take messages. Two iterators of one client share its messages.
    public func makeAsyncIterator() -> Iterator { Iterator(client: client, maxSize: maxSize) }

    /// Takes one message after the other.
    public struct Iterator: AsyncIteratorProtocol, Sendable {
        let client: WebSocketClient
        let maxSize: Int?

        /// The next message, `nil` after the end; see ``WebSocketClient/recv(timeout:)``.
        public mutating func next() async throws -> Frame? {
            guard let frame = try await client.recv() else { return nil }
            guard let maxSize, frame.count > maxSize else { return frame }
            try await client.close(code: 1009, reason: "the message is larger than \(maxSize) bytes")
            return nil
        }
    }
}
