/// A stream of server-sent events: the response to a request of a browser's `EventSource`.
///
/// ```swift
/// server.get("/prices") { request, response in
///     let events = response.events()
///     for await price in prices(after: request.lastEventID) {
///         try await events.send(price.json, event: "price", id: "\(price.number)")
///     }
/// }
/// ```
///
/// The stream ends with ``end()``, when the last reference to it is released, when the client has left, and when the
/// worker is replaced or the server stops; a browser then connects again, and sends the id of the last event. A comment
/// is sent now and then while there are no events, so that proxies keep the connection, and the server notices that the
/// client has left.
@MainActor public final class EventStream {
    private var response: Response?
    private let worker: WorkerContext
    private let connection: ConnectionID
    private var heartbeat: TimerID?
    /// The number of the stream among those of this process.
    private var number = 0
    private var isActive = false
    private var whenClosed: [@MainActor () -> Void] = []

    init(_ response: Response, heartbeat interval: Duration?) {
        self.response = response
        worker = response.worker
        connection = response.request.connection
        if let interval {
            heartbeat = worker.timers.start(after: interval, every: interval) { [weak self] _ in
                MainActor.assumeIsolated { self?.beat() }
            }
        }
        number = worker.requests.addStream(worker.timers) { [weak self] in MainActor.assumeIsolated { self?.end() } }
    }

    deinit {
        guard response != nil else { return }
        let (worker, heartbeat, number, hooks) = (worker, heartbeat, number, whenClosed)
        // The last reference may be released on any thread. The response ends by its own release.
        let close: @Sendable () -> Void = {
            if let heartbeat { worker.timers.clear(heartbeat) }
            worker.requests.remove(stream: number)
            MainActor.assumeIsolated { for hook in hooks { hook() } }
        }
        if worker.isHere { close() } else { worker.loop.post(close) }
    }

    /// Whether events can be sent: the stream has not ended, and the client is not known to have left.
    public var isOpen: Bool { response != nil && worker.isOpen && worker.bus.exists(connection) }

    /// Sends an event. Suspends while the output queue of a slow client is full.
    ///
    /// - Parameters:
    ///   - data: the data; lines may end in any way.
    ///   - event: the name of the event; `nil`: "message".
    ///   - id: the id, which the client sends as ``Request/lastEventID`` when it connects again. An empty one
    ///     clears it.
    ///   - retry: the time after which the client connects again when the connection is lost.
    /// - Throws: ``ResponseError/closed`` when the client has left, ``ResponseError/ended``,
    ///   ``ResponseError/invalidEvent`` for a line break in `event` or `id`, or `CancellationError`.
    public func send(
        _ data: String, event: String? = nil, id: String? = nil, retry: Duration? = nil
    ) async throws {
        let text = try EventStream.text(data, event: event, id: id, retry: retry)
        guard let response else { throw ResponseError.ended }
        do { try await response.write(text) } catch {
            if error as? ResponseError != nil { close() }
            throw error
        }
        isActive = true
    }

    /// Sends an event if there is room for it in the client's output queue: for code that has many clients and waits
    /// for none.
    ///
    /// - Returns: ``ResponseResult/full`` when there is no room, ``ResponseResult/closed`` when the client has left,
    ///   ``ResponseResult/ended``, or ``ResponseResult/invalid`` for a line break in `event` or `id`; nothing is sent
    ///   then.
    @discardableResult public func trySend(
        _ data: String, event: String? = nil, id: String? = nil
    ) -> ResponseResult {
        guard let text = try? EventStream.text(data, event: event, id: id, retry: nil) else { return .invalid }
        let result = write(text)
        if result.isAccepted { isActive = true }
        return result
    }

    /// Ends the response. Calling it again has no effect.
    public func end() {
        response?.end([])
        close()
    }

    /// Calls `body` when the stream has ended, whoever ended it; at once when that was before. It is noticed that a
    /// client has left when something is sent to it, a heartbeat included.
    public func onClose(_ body: @escaping @MainActor () -> Void) {
        if response == nil { body() } else { whenClosed.append(body) }
    }

    private func beat() {
        if isActive {
            isActive = false
        } else {
            _ = write(":\n\n")
        }
        if !isOpen { close() }
    }

    private func write(_ text: String) -> ResponseResult {
        guard let response else { return .ended }
        let result: ResponseResult = response.write(text)
        if !result.isAccepted, !isOpen { close() }
        return result
    }

    private func close() {
        guard response != nil else { return }
        response = nil
        if let heartbeat { worker.timers.clear(heartbeat) }
        heartbeat = nil
        worker.requests.remove(stream: number)
        let hooks = whenClosed
        whenClosed = []
        for hook in hooks { hook() }
    }

    /// The event in the form of the HTML standard.
    nonisolated static func text(
        _ data: String, event: String?, id: String?, retry: Duration?
    ) throws(ResponseError) -> String {
        var text = ""
        for (name, value) in [("event", event), ("id", id)] {
            guard let value else { continue }
            // A NUL in an id makes clients ignore it.
            guard !value.utf8.contains(where: { $0 == 10 || $0 == 13 || $0 == 0 }) else { throw .invalidEvent }
            text += "\(name): \(value)\n"
        }
        if let retry { text += "retry: \(max(0, retry.milliseconds))\n" }
        var line: [UInt8] = []
        var previous: UInt8 = 0
        func take() {
            text += "data: \(String(decoding: line, as: UTF8.self))\n"
            line.removeAll(keepingCapacity: true)
        }
        for byte in data.utf8 {
            if byte == 13 || byte == 10 && previous != 13 {
                take()
            } else if byte != 10 {
                line.append(byte)
            }
            previous = byte
        }
        take()
        return text + "\n"
    }
}

extension Response {
    /// Begins a stream of server-sent events as the response.
    ///
    /// The type is `text/event-stream`, and caches and buffering proxies are asked to stay out of it. Other fields,
    /// such as those of CORS, are added before.
    ///
    /// - Parameter heartbeat: the time without an event after which a comment is sent; `nil`: none is.
    /// - Returns: the stream. It has ended already when the response had begun before, or the client has left.
    public func events(heartbeat: Duration? = .seconds(15)) -> EventStream {
        let interval = heartbeat.map { max($0, .milliseconds(1)) }
        guard !isBegun else { return EventStream.ended(self) }
        headers.set("Content-Type", "text/event-stream")
        if headers["Cache-Control"] == nil { headers.set("Cache-Control", "no-cache") }
        headers.set("X-Accel-Buffering", "no")
        // The head leaves with the first piece: a browser that has it knows that the stream is open.
        guard beginsStream() else { return EventStream.ended(self) }
        return EventStream(self, heartbeat: interval)
    }

    private func beginsStream() -> Bool { write(":\n\n") }
}

extension EventStream {
    fileprivate static func ended(_ response: Response) -> EventStream {
        let stream = EventStream(response, heartbeat: nil)
        stream.close()
        return stream
    }
}

extension Request {
    /// The id of the last event that the client has received, when it connects again to a stream of events.
    public var lastEventID: String? { header["last-event-id"] }
}
