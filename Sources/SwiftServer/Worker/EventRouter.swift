internal import CReactor
internal import CReactorInternal

/// Turns the records that a worker receives from the link into calls of handlers.
@safe final class EventRouter: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private let worker: WorkerContext
    /// The handlers of the first port.
    private let handlers: ConnectionHandlers
    /// Whether the first port has no straight-line handlers, which come before its callbacks.
    private let isPlain: Bool
    /// The handler of its messages, for each of them.
    private let message: Uncounted<MessageHandler>?
    /// The handlers of the other ports.
    private let otherHandlers: [ConnectionHandlers]
    /// The straight-line handlers; `nil` when no port has any. The second reference is for each event.
    private let sockets: OpenWebSockets?
    private let routed: Uncounted<OpenWebSockets>?
    private let pipeMessage: ((Int, [UInt8]) -> Void)?
    private let join, leave: ((MemberChange) -> Void)?
    /// Whether a message of another process was dropped, for want of a handler.
    private var hasDroppedMessages = false
    private let layout: Layout
    private let keepsHandshakes: Bool
    private let tasks: TaskRunner
    private let poster: TaskPoster
    @safe @exclusivity(unchecked) private var memory = RequestMemory()
    private var slowHandlers = SlowHandlers()

    init(
        worker: WorkerContext, configuration: ServerConfiguration, sockets: OpenWebSockets?, limit: ConcurrencyLimit?,
        tasks: TaskRunner, poster: TaskPoster, drain: Drain, quota: Quota
    ) {
        self.worker = worker
        self.sockets = sockets
        routed = sockets.map { Uncounted($0) }
        // Other processes have no connections.
        let isWorker = configuration.layout.role(of: worker.id) == .worker
        var all = configuration.ports.map { isWorker ? $0.routedHandlers(worker, sockets) : $0.handlers }
        if let limit { all = all.map(limit.surround) }
        handlers = all[0]
        isPlain = !(sockets?.hasRoutes(0) ?? false)
        message = handlers.message.map { Uncounted($0) }
        otherHandlers = Array(all.dropFirst())
        pipeMessage = configuration.handlers.pipeMessage
        join = configuration.handlers.join
        leave = configuration.handlers.leave
        layout = configuration.layout
        keepsHandshakes = configuration.settings.keepsHandshakes
        self.tasks = tasks
        self.poster = poster
        worker.quota = quota
        worker.whenQuotaReached = { [weak drain] in drain?.start(.quota) }
        CurrentWorker.begin(worker)
    }

    deinit {
        worker.whenQuotaReached = nil
        CurrentWorker.end(worker)
    }

    // MARK: Events of connections

    @inline(__always)
    fileprivate func receive(_ record: UnsafePointer<cre_record>, _ start: UnsafeMutablePointer<UInt8>?) {
        let fd = unsafe ConnectionID(rawValue: record.pointee.session)
        let payload = unsafe UnsafeRawBufferPointer(start: start, count: Int(record.pointee.length))
        // The most frequent events.
        guard isPlain, unsafe cre_record_port(record) == 0 else { return unsafe receive(record, fd, payload) }
        switch unsafe cre_event(rawValue: UInt32(record.pointee.kind)) {
        case CRE_EVENT_MESSAGE: unsafe receiveMessage(record, fd, payload)
        case CRE_EVENT_REQUEST: unsafe receiveRequest(record, fd, payload)
        default: unsafe receive(record, fd, payload)
        }
    }

    @inline(never) private func receive(
        _ record: UnsafePointer<cre_record>, _ fd: ConnectionID, _ payload: UnsafeRawBufferPointer
    ) {
        let port = unsafe Int(cre_record_port(record))
        if let routed, routed.with({ unsafe $0.hasRoutes(port) && receive(record, fd, payload, $0, port) }) { return }
        if port > 0 {
            unsafe receive(record, fd, payload, otherHandlers[port - 1])
        } else if unsafe UInt32(record.pointee.kind) == CRE_EVENT_MESSAGE.rawValue {
            unsafe receiveMessage(record, fd, payload)
        } else {
            unsafe receive(record, fd, payload, handlers)
        }
    }

    /// A message of the first port, without the copy of all handlers that other events are worth.
    @inline(__always) private func receiveMessage(
        _ record: UnsafePointer<cre_record>, _ fd: ConnectionID, _ payload: UnsafeRawBufferPointer
    ) {
        count()
        message?.with { unsafe $0.receive(worker, fd, Opcode(rawValue: record.pointee.opcode), payload) }
    }

    /// A request of the first port, likewise.
    @inline(never) private func receiveRequest(
        _ record: UnsafePointer<cre_record>, _ fd: ConnectionID, _ payload: UnsafeRawBufferPointer
    ) {
        guard let request = unsafe request(record, fd, payload) else { return }
        count()
        if handlers.handshake == nil { handlers.request?(worker, request) } else { decide(request, handlers) }
    }

    /// An event of a port with straight-line handlers. Returns false when its callbacks should get it.
    private func receive(
        _ record: UnsafePointer<cre_record>, _ fd: ConnectionID, _ payload: UnsafeRawBufferPointer,
        _ sockets: OpenWebSockets, _ port: Int
    ) -> Bool {
        switch unsafe cre_event(rawValue: UInt32(record.pointee.kind)) {
        case CRE_EVENT_REQUEST:
            unsafe receiveRequest(record, fd, payload, port)
            return true
        case let event:
            guard unsafe sockets.receive(record.pointee, fd, payload, port: port) else { return false }
            if event == CRE_EVENT_MESSAGE { count() }
            return true
        }
    }

    @inline(never) private func receiveRequest(
        _ record: UnsafePointer<cre_record>, _ fd: ConnectionID, _ payload: UnsafeRawBufferPointer, _ port: Int
    ) {
        guard let request = unsafe request(record, fd, payload) else { return }
        // Not by one expression, which would copy the handlers.
        if port > 0 { receive(request, otherHandlers[port - 1]) } else { receive(request, handlers) }
        count()
    }

    @inline(__always) private func receive(_ request: Request, _ handlers: borrowing ConnectionHandlers) {
        if handlers.handshake == nil {
            handlers.request?(worker, request)
        } else {
            decide(request, handlers)
        }
    }

    /// A request of a port whose handshakes are decided by a handler.
    @inline(never) private func decide(_ request: Request, _ handlers: borrowing ConnectionHandlers) {
        if request.isHandshake {
            handlers.handshake?(worker, request)
        } else {
            handlers.request?(worker, request)
        }
    }

    @inline(__always) private func request(
        _ record: UnsafePointer<cre_record>, _ fd: ConnectionID, _ payload: UnsafeRawBufferPointer
    ) -> Request? {
        let now = worker.loop.milliseconds
        guard
            var request = unsafe Request(
                fd: fd, number: record.pointee.opcode, receivedAt: now, payload: payload, reusing: &memory)
        else { return nil }
        if unsafe UInt32(record.pointee.flags) & CRE_RECORD_MORE_BODY != 0 { worker.requests.expectBody(of: &request) }
        return request
    }

    @inline(__always) private func receive(
        _ record: UnsafePointer<cre_record>, _ fd: ConnectionID, _ payload: UnsafeRawBufferPointer,
        _ handlers: borrowing ConnectionHandlers
    ) {
        switch unsafe cre_event(rawValue: UInt32(record.pointee.kind)) {
        case CRE_EVENT_MESSAGE:
            count()
            unsafe handlers.message?.receive(worker, fd, Opcode(rawValue: record.pointee.opcode), payload)
        case CRE_EVENT_REQUEST:
            guard let request = unsafe request(record, fd, payload) else { return }
            count()
            receive(request, handlers)
        case CRE_EVENT_REQUEST_BODY:
            let request = unsafe RequestID(connection: fd, number: record.pointee.opcode)
            unsafe worker.requests.receiveBody(of: request, payload, UInt32(record.pointee.flags))
        case CRE_EVENT_OPEN:
            guard handlers.open != nil || keepsHandshakes,
                let request = unsafe Request(fd: fd, receivedAt: worker.loop.milliseconds, payload: payload)
            else { return }
            if keepsHandshakes { worker.handshakes[fd] = request }
            handlers.open?(worker, request)
        case CRE_EVENT_CLOSE:
            defer { if keepsHandshakes { worker.handshakes[fd] = nil } }
            // A connection whose handshake was not accepted has not been opened either.
            guard unsafe UInt32(record.pointee.flags) & CRE_RECORD_UNOPENED == 0 else { return }
            guard let close = handlers.close, let reason = unsafe CloseReason(payload) else { return }
            close(worker, fd, reason)
        case CRE_EVENT_RECEIVE:
            count()
            unsafe handlers.receive?(worker, fd, payload)
        case CRE_EVENT_CONNECT:
            if unsafe !payload.isEmpty { worker.connecting = unsafe (fd, [UInt8](payload)) }
            handlers.connect?(worker, fd)
            worker.connecting = nil
        case CRE_EVENT_END:
            // The client has ended its side. The output of a suspended handler still reaches it.
            let link = worker.link
            if worker.isBusy(fd) { worker.lanes.run(fd) { link.finish(fd) } } else { link.finish(fd) }
        case CRE_EVENT_PACKET:
            guard let packet = unsafe handlers.packet, payload.count >= MemoryLayout<cre_address>.size else { return }
            count()
            let sender = unsafe SocketAddress(payload.load(as: cre_address.self), receivedOn: cre_record_port(record))
            unsafe packet(
                worker, sender, UnsafeRawBufferPointer(rebasing: payload[MemoryLayout<cre_address>.size...]))
        case CRE_EVENT_DRAINED:
            worker.requests.drained(fd)
            handlers.drain?(worker, fd)
        default: break  // FULL: the result of a push reports it
        }
    }

    @inline(__always) private func count() { worker.count() }

    // MARK: Messages of other processes

    fileprivate func receive(
        message: UnsafePointer<cre_record>, from node: Int, _ start: UnsafeMutablePointer<UInt8>?
    ) {
        let record = unsafe message.pointee
        let payload = unsafe [UInt8](UnsafeRawBufferPointer(start: start, count: Int(record.length)))
        switch cre_message(rawValue: UInt32(record.kind)) {
        case CRE_MESSAGE_TASK:
            tasks.begin(
                TaskID(record.session), from: layout.id(ofNode: node), payload,
                wantsResult: UInt32(record.opcode) != CRE_TASK_ONE_WAY.rawValue)
        case CRE_MESSAGE_RESULT: poster.receive(TaskResult(record, payload))
        case CRE_MESSAGE_ANSWER: worker.questions?.receive(record, payload)
        case CRE_MESSAGE_COUNTED:
            if let count = WorkerLink.count(payload) { worker.counts?.receive(count, from: node, record.session) }
        case CRE_MESSAGE_PIPE: receive(pipeMessage: payload, from: node)
        case CRE_MESSAGE_MEMBER: MemberChange(payload).map { (record.opcode == 1 ? join : leave)?($0) }
        default: break
        }
    }

    private func receive(pipeMessage message: [UInt8], from node: Int) {
        if let pipeMessage { return pipeMessage(layout.id(ofNode: node), message) }
        guard !hasDroppedMessages else { return }
        hasDroppedMessages = true
        Log.warning(
            "a message of \(layout.name(ofNode: node)) was dropped: there is no onPipeMessage handler (logged once)")
    }

    fileprivate func logSlow(_ call: cre_record, _ start: UnsafePointer<UInt8>?, _ nanoseconds: UInt64) {
        let payload = unsafe UnsafeRawBufferPointer(start: start, count: start == nil ? 0 : Int(call.length))
        unsafe slowHandlers.log(call, payload, took: .nanoseconds(Int64(clamping: nanoseconds)), in: worker)
    }

    /// Another process has written a corrupt record into the ring to this one. The manager, which is the parent of
    /// both, replaces it after it was killed here. A reactor, the master and the manager are trusted: then a third
    /// process has overwritten the ring, and this process ends, since only its successor can read from that again.
    fileprivate func killSender(ofNode node: Int) {
        guard layout.id(ofNode: node) >= 0 else {
            Log.error(
                "another process has overwritten the records of \(layout.name(ofNode: node)) to this one; it ends")
            cre_process_exit(1)
        }
        let pid = worker.bus.pid(ofNode: node)
        Log.error("\(layout.name(ofNode: node)) (pid \(pid)) sent a corrupt record and is killed")
        Siblings.kill(pid)
    }
}

// MARK: - The way from the link to the router

extension EventRouter {
    /// The place at which the link's callbacks find the router. It exists before the link, which the router needs.
    @safe struct Inlet {
        private let router: UnsafeMutablePointer<Unmanaged<EventRouter>?>

        init() {
            unsafe router = .allocate(capacity: 1)
            unsafe router.initialize(to: nil)
        }

        /// Connects a router, which must live until ``free()``. Nothing is received before.
        func connect(_ target: EventRouter) { unsafe router.pointee = .passUnretained(target) }

        func free() { unsafe router.deallocate() }

        /// The callbacks for a link. `hasEvents`: the process has connections.
        func callbacks(hasEvents: Bool, slowAfter: Duration?) -> WorkerLink.Callbacks {
            unsafe WorkerLink.Callbacks(
                onEvent: !hasEvents
                    ? nil
                    : { context, event, payload in
                        unsafe Inlet.router(context)._withUnsafeGuaranteedRef {
                            unsafe $0.receive(event.unsafelyUnwrapped, payload)
                        }
                    },
                onMessage: { context, node, message, payload in
                    unsafe Inlet.router(context)._withUnsafeGuaranteedRef {
                        unsafe $0.receive(message: message.unsafelyUnwrapped, from: Int(node), payload)
                    }
                },
                onProtocolError: { context, node in
                    unsafe Inlet.router(context)._withUnsafeGuaranteedRef { $0.killSender(ofNode: Int(node)) }
                },
                onRepair: { _, count in Log.error(BusRepair.message(count)) },
                keeps: { context, session in
                    unsafe Inlet.router(context)._withUnsafeGuaranteedRef {
                        $0.worker.requests.isReceiving(ConnectionID(rawValue: session))
                    }
                },
                onSlow: { context, call, payload, nanoseconds in
                    unsafe Inlet.router(context)._withUnsafeGuaranteedRef {
                        unsafe $0.logSlow(call.unsafelyUnwrapped.pointee, payload, nanoseconds)
                    }
                }, slowAfter: slowAfter,
                context: UnsafeMutableRawPointer(router))
        }

        @inline(__always) private static func router(_ context: UnsafeMutableRawPointer?) -> Unmanaged<EventRouter> {
            let place = unsafe context.unsafelyUnwrapped.assumingMemoryBound(to: Unmanaged<EventRouter>?.self)
            return unsafe place.pointee.unsafelyUnwrapped
        }
    }
}
