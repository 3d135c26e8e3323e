internal import CReactor

/// The connections of the ports that have straight-line handlers: which of them such a handler serves, and the way from
/// their events to it.
@safe final class OpenWebSockets: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private enum Entry {
        /// The map has the reference, which is not counted when an entry is looked at.
        case served(Uncounted<WebSocket>)
        /// Callbacks serve it: no route has its path.
        case plain
        /// A predecessor has opened it, and its handshake was asked for.
        case adopting(Backlog)
    }

    /// The answer to a request whose handler runs inside of middleware.
    @safe final class Answer: @unchecked Sendable {
        private var outcome: Result<Void, any Error>?
        private var waiter: UnsafeContinuation<Void, any Error>?

        /// The handler has answered, or has thrown an error before it has.
        func arrive(_ error: (any Error)? = nil) {
            let outcome: Result<Void, any Error> = error.map { .failure($0) } ?? .success(())
            self.outcome = outcome
            unsafe waiter.take()?.resume(with: outcome)
        }

        @MainActor func wait() async throws {
            if let outcome { return try outcome.get() }
            try unsafe await withUnsafeThrowingContinuation { unsafe waiter = $0 }
        }
    }

    /// What is received until the handshake arrives.
    private final class Backlog {
        enum Item {
            case deferred(WorkerLink.Ticket)
            /// There was no room to defer it.
            case frame(Frame)
        }

        var items: [Item] = []
        var isInputOver = false
    }

    private let worker: WorkerContext
    private let pauses: ReadPauses
    /// The straight-line handlers of each port; `nil` for ports without.
    private let routes: [(any WebSocketMatching)?]
    /// Whether a port has any: asked for each event.
    private let isServed: [Bool]
    private let handlers: [ConnectionHandlers]
    @safe @exclusivity(unchecked) private var entries = ConnectionMap<Entry>()
    private let runners: HandlerRunners
    /// Connections of a predecessor that wait until others were adopted.
    private var waiting: [ConnectionID] = []
    private var isLeaving = false
    /// Called when the last handler has returned.
    var whenIdle: (() -> Void)? {
        get { runners.whenIdle }
        set { runners.whenIdle = newValue }
    }

    /// The number of tasks that are kept for further handlers: most handlers of plain requests return at once.
    private static let mostParked = 64
    /// The number of connections whose handshake is asked for at once: as much as a link takes at any time.
    private static let mostAdopting = 64

    init(
        _ worker: WorkerContext, pauses: ReadPauses, routes: [(any WebSocketMatching)?], handlers: [ConnectionHandlers]
    ) {
        self.worker = worker
        self.pauses = pauses
        runners = HandlerRunners(executor: worker.loop.executor, mostParked: OpenWebSockets.mostParked)
        self.routes = routes
        isServed = routes.map { $0 != nil }
        self.handlers = handlers
        runners.whenServed =
            PlainHandlers.Served { socket, _, error in
                let socket = unsafe unsafeDowncast(socket, to: WebSocket.self)
                socket.service.take()?.ended(socket, error)
                return true
            }.plain
        // Not retained: the runners belong to this object.
        let this = Uncounted(self)
        runners.nextToServe = { fd, runner in this.with { $0.worker.askForRequest(after: fd, .straightLine, runner) } }
    }

    /// The number of handlers that have not returned.
    var count: Int { runners.suspended }

    func hasRoutes(_ port: Int) -> Bool { isServed[port] }

    private func serve(_ fd: ConnectionID, by socket: WebSocket) {
        release(entries[fd])
        entries[fd] = .served(Uncounted(retaining: socket))
    }

    private func remove(_ fd: ConnectionID) {
        let entry = entries[fd]
        entries[fd] = nil
        release(entry)
    }

    /// Removes the entry of a socket whose handler has not opened it. The connection goes on with HTTP, so it may have
    /// asked for another WebSocket already.
    private func remove(_ socket: WebSocket) {
        guard case .served(let served) = entries[socket.id], served.object === socket else { return }
        remove(socket.id)
    }

    private func release(_ entry: Entry?) { if case .served(let socket) = entry { socket.release() } }

    deinit { for fd in entries.keys { release(entries[fd]) } }

    // MARK: Requests

    /// Serves a request or handshake inside of middleware, and returns when a WebSocket is open or the handler has
    /// returned. Throws the error that the handler has thrown before it has answered.
    @MainActor func serveUntilAnswered(
        _ request: Request, _ response: Response, _ route: WebSocketRoute
    ) async throws {
        let answer = Answer()
        let socket = serve(request, response, route, answer)
        if isLeaving { deliver { leave(socket) } }
        try await answer.wait()
    }

    @discardableResult
    func serve(
        _ request: consuming Request, _ response: consuming Response?, _ route: WebSocketRoute, _ answer: Answer? = nil
    ) -> WebSocket {
        let isHandshake = request.isHandshake
        let socket = WebSocket(copy request, response: consume response, worker: worker, pauses: pauses)
        socket.service = self
        if answer == nil, !isHandshake, let runner = worker.askers.take(.straightLine) {
            socket.runner = runner
            runner.give(route.handler, consume request, socket)
            return socket
        }
        if let answer { answers[ObjectIdentifier(socket)] = answer }
        if isHandshake { serve(socket.id, by: socket) }
        // Inside of middleware a task is running already, which a parked one would have to wait for.
        let runner = answer == nil ? runners.take() : HandlerRunners.Runner(isReused: false)
        socket.runner = Uncounted(runner)
        runners.start(route.handler, consume request, socket, on: runner)
        return socket
    }

    @MainActor private func ended(_ socket: WebSocket, _ error: (any Error)?) {
        socket.runner = nil
        if socket.phase == .asked, let error, !WebSocketError.isExpected(error),
            let answer = answers.removeValue(forKey: ObjectIdentifier(socket))
        {
            // The middleware around the handler may answer; the caller of all of it does otherwise.
            remove(socket)
            return answer.arrive(error)
        }
        defer { answered(socket) }
        guard worker.isOpen else { return }
        if let error, !WebSocketError.isExpected(error), !(error is any RequestError) { log(error, socket) }
        socket.handlerEnded(error)
        if socket.phase == .asked { remove(socket) }
    }

    @inline(never) private func log(_ error: any Error, _ socket: WebSocket) {
        let path = socket.request.routePattern ?? socket.request.path
        Log.error("\(worker.name): the handler of \(path) has failed on connection \(socket.id): \(error)")
    }

    // MARK: Middleware

    /// What middleware around a handler waits for.
    private var answers: [ObjectIdentifier: Answer] = [:]

    /// The WebSocket of a handler is open or closed, or the handler has returned.
    private func answered(_ socket: WebSocket) {
        if !answers.isEmpty { answers.removeValue(forKey: ObjectIdentifier(socket))?.arrive() }
    }

    // MARK: Events

    /// Delivers an event of a port with routes. Returns false when the connection's callbacks should get it.
    func receive(_ record: cre_record, _ fd: ConnectionID, _ payload: UnsafeRawBufferPointer, port: Int) -> Bool {
        let entry = entries[fd]
        switch cre_event(rawValue: UInt32(record.kind)) {
        case CRE_EVENT_OPEN: return unsafe opened(fd, entry, payload, port)
        case CRE_EVENT_CLOSE: return unsafe closed(fd, entry, payload)
        case CRE_EVENT_MESSAGE:
            return unsafe received(fd, entry, Opcode(rawValue: record.opcode), payload)
        case CRE_EVENT_END:
            switch entry {
            case .plain: return false
            case .served(let socket):
                let reason = unsafe CloseReason(payload)
                deliver { socket.object.inputEnded(reason) }
            case .adopting(let backlog): backlog.isInputOver = true
            case nil: return false
            }
        case CRE_EVENT_DRAINED:
            guard case .served(let socket) = entry else { return false }
            deliver { socket.object.room.wakeFirst() }
        default: return false
        }
        return true
    }

    /// Runs what an event resumes within the turn of the event. A handler that asks for further messages takes them out
    /// of the same input, so it is resumed once for all of them; if this process is killed and another one owns the
    /// connection, only the message in hand is lost.
    @inline(__always) private func deliver(_ event: () -> Void) {
        event()
        worker.loop.executor.drain()
    }

    @inline(__always) private func received(
        _ fd: ConnectionID, _ entry: Entry?, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer
    ) -> Bool {
        if case .served(let socket) = entry {
            unsafe worker.lend(fd, opcode, payload) { receive($0, socket) }
            return true
        }
        return unsafe receivedEarly(fd, entry, opcode, payload)
    }

    /// A message of a connection that no handler serves.
    @inline(never) private func receivedEarly(
        _ fd: ConnectionID, _ entry: Entry?, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer
    ) -> Bool {
        if case .plain = entry { return false }
        if case nil = entry, worker.link.hasCallbacks(fd) {
            entries[fd] = .plain
            return false
        }
        // A predecessor or, for a user who has moved, another worker has opened it.
        let known: Backlog? = if case .adopting(let backlog) = entry { backlog } else { nil }
        guard let backlog = known ?? adopt(fd) else { return true }
        let ticket = worker.link.deferEvent()
        let item =
            unsafe ticket != 0
            ? Backlog.Item.deferred(ticket) : .frame(Frame(fd: fd, opcode: opcode, bytes: [UInt8](payload)))
        backlog.items.append(item)
        return true
    }

    @inline(__always) private func receive(_ frame: Frame, _ socket: Uncounted<WebSocket>) {
        let fd = frame.fd
        let isQueued = socket.with { $0.receive(frame) }
        worker.loop.executor.drain()
        if isQueued, !worker.link.ownsSockets, case .served(let socket) = entries[fd] { socket.object.deferLast() }
    }

    private func opened(
        _ fd: ConnectionID, _ entry: Entry?, _ payload: UnsafeRawBufferPointer, _ port: Int
    ) -> Bool {
        var entry = entry
        if case .served(let served) = entry {
            let socket = served.object
            if socket.phase != .asked {
                deliver {
                    socket.opened()
                    answered(socket)
                }
                return true
            }
            // Its handler has refused an earlier handshake and has not returned yet.
            remove(fd)
            entry = nil
        }
        let isKnown = if case .adopting = entry { true } else { false }
        guard var request = unsafe Request(fd: fd, receivedAt: worker.loop.milliseconds, payload: payload) else {
            return true
        }
        // Also when a predecessor has accepted the handshake and ended before the WebSocket was open.
        guard let route = routes[port]?.webSocketRoute(of: &request) else {
            entries[fd] = .plain
            if !worker.link.ownsSockets { worker.link.noteCallbacks(fd) }
            guard isKnown else { return false }
            callBack(fd, entry, handlers[port])
            adoptNext()
            return true
        }
        switch route.whenMoved {
        case .closes(let code):
            remove(fd)
            drop(entry)
            let empty = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
            _ = unsafe worker.link.close(fd, code: code, reason: empty)
        case .resumes:
            let socket = serve(request, nil, route)
            if case .adopting(let backlog) = entry {
                for item in backlog.items {
                    switch item {
                    case .deferred(let ticket): worker.link.deliver(ticket)
                    case .frame(let frame): receive(frame, Uncounted(socket))
                    }
                }
                if backlog.isInputOver { deliver { socket.inputEnded(nil) } }
            }
            if isLeaving { deliver { _ = socket.leave() } }
        }
        if isKnown { adoptNext() }
        return true
    }

    /// Delivers what was received before it was known that callbacks serve the connection.
    private func callBack(_ fd: ConnectionID, _ entry: Entry?, _ handlers: ConnectionHandlers) {
        guard case .adopting(let backlog) = entry else { return }
        let link = worker.link
        for item in backlog.items {
            switch item {
            case .deferred(let ticket): link.deliver(ticket)
            case .frame(let frame):
                unsafe frame.withBuffer { unsafe handlers.message?.receive(worker, fd, frame.opcode, $0) }
            }
        }
        guard backlog.isInputOver else { return }
        if worker.isBusy(fd) { worker.lanes.run(fd) { link.finish(fd) } } else { link.finish(fd) }
    }

    private func closed(_ fd: ConnectionID, _ entry: Entry?, _ payload: UnsafeRawBufferPointer) -> Bool {
        if case .served(let served) = entry {
            let socket = served.object
            remove(fd)
            let reason = unsafe CloseReason(payload)
            deliver {
                if !socket.closed(reason) { socket.cancelHandler() }
                answered(socket)
            }
            return true
        }
        remove(fd)
        if case .adopting = entry {
            drop(entry)
            adoptNext()
        }
        return false
    }

    /// Nobody will receive what has arrived.
    private func drop(_ entry: Entry?) {
        guard case .adopting(let backlog) = entry else { return }
        for case .deferred(let ticket) in backlog.items { worker.link.drop(ticket) }
    }

    // MARK: Successors

    /// Continues the connections that a predecessor of this process has left.
    func resume(_ connections: some Sequence<ConnectionID>) {
        waiting = connections.filter { entries[$0] == nil && !worker.link.hasCallbacks($0) }
        for _ in 0..<OpenWebSockets.mostAdopting { adoptNext() }
    }

    private func adoptNext() {
        while let fd = waiting.popLast() {
            if entries[fd] == nil, adopt(fd) != nil { return }
        }
    }

    /// Asks for the handshake of a connection. `nil` when it is no open WebSocket.
    private func adopt(_ fd: ConnectionID) -> Backlog? {
        guard worker.bus.isOpen(fd), worker.link.adopt(fd) else { return nil }
        let backlog = Backlog()
        entries[fd] = .adopting(backlog)
        return backlog
    }

    /// Has all handlers end that have no message in hand: a successor will call them again.
    func leave() {
        isLeaving = true
        waiting = []
        for fd in entries.keys { leave(fd) }
    }

    /// Has the handler of one connection end for another worker.
    func leave(_ fd: ConnectionID) {
        if case .served(let socket) = entries[fd] { leave(socket.object) }
    }

    private func leave(_ socket: WebSocket) {
        if !socket.leave() { socket.cancelHandler() }
    }
}
