internal import CReactor
internal import CReactorInternal
internal import Glibc

/// A worker process from the inside: the events that reach it become calls of the handlers, what handlers say becomes
/// commands.
@safe final class WorkerRuntime: @unchecked Sendable {
    // `@unchecked`: everything but what says "any thread" is touched on the loop's thread only.
    let id: Int
    let role: Role
    let layout: Layout
    let loop: EventLoop
    let bus: Bus
    let lanes: HandlerLanes
    let timers: Timers
    @exclusivity(unchecked) nonisolated(unsafe) private(set) var worker: OpaquePointer!
    let server: Server
    private(set) var desk: TaskDesk!
    private(set) var drain: Drain!
    /// Does the tasks of a server that is one process.
    private(set) var local: LocalTasks?
    /// The task that is being done here.
    var taskInHand: TaskID?
    private let handlers: Handlers
    /// Those of the ports behind the first.
    private let otherHandlers: [Handlers]

    /// Opens the worker's end of the link. With `listeners` (base mode) it owns sockets itself.
    init(
        id: Int, layout: Layout, loop: EventLoop, bus: Bus, server: Server, listeners: [Int32]?
    ) throws(ServerError) {
        self.id = id
        self.layout = layout
        role = layout.role(of: id)
        self.loop = loop
        self.bus = bus
        self.server = server
        handlers = server.handlers
        otherHandlers = server.ports.dropFirst().map { server.handlers(of: $0) }
        timers = Timers(loop: loop)
        left = role == .taskWorker ? server.settings.taskQuota : server.settings.requestQuota
        let relay = Relay()
        lanes = HandlerLanes(runners: HandlerRunners(executor: loop.executor)) { relay.runtime.pause($0, $1) }
        relay.runtime = self
        desk = TaskDesk(runtime: self)
        drain = Drain(runtime: self)
        if server.mode == .single, server.settings.taskWorkerCount > 0 { local = LocalTasks(runtime: self) }

        var engine = unsafe server.engineConfig()
        var raw: OpaquePointer?
        let result = unsafe withUnsafePointer(to: &engine) { engine in
            var config = unsafe cre_worker_config(
                bus: bus.raw, node: UInt32(layout.node(of: id)),
                on_event: role != .worker
                    ? nil
                    : { context, event, payload in
                        unsafe Unmanaged<WorkerRuntime>.fromOpaque(context!)._withUnsafeGuaranteedRef {
                            unsafe $0.receive(event!, payload)
                        }
                    },
                on_message: { context, node, message, payload in
                    unsafe Unmanaged<WorkerRuntime>.fromOpaque(context!)._withUnsafeGuaranteedRef {
                        unsafe $0.receive(
                            message: message!, from: Int(node),
                            UnsafeRawBufferPointer(start: payload, count: Int(message!.pointee.length)))
                    }
                },
                violation: { context, node in
                    unsafe Unmanaged<WorkerRuntime>.fromOpaque(context!)._withUnsafeGuaranteedRef {
                        $0.punish(Int(node))
                    }
                },
                context: Unmanaged.passUnretained(self).toOpaque(),
                engine: listeners == nil ? nil : engine, max_queue: 0,
                first_owner: UInt16(layout.owners.lowerBound), owner_count: UInt16(layout.owners.count),
                first_task: UInt16(layout.taskNodes.lowerBound), task_count: UInt16(layout.taskNodes.count))
            return unsafe cre_worker_open(loop.raw, &config, &raw)
        }
        guard result == 0, let raw = unsafe raw else { throw .system("opening worker \(id)", result) }
        unsafe worker = raw
        let show: (UInt32) -> Bool = { unsafe cre_worker_occupied(raw, $0) }
        timers.show = show
        unsafe loop.executor.show = show
        if let listeners {
            try speakTLS()
            for (port, listener) in listeners.enumerated() {
                let result = unsafe cre_engine_serve(cre_worker_engine(raw), listener, UInt16(port))
                guard result == 0 else { throw .system("serving in worker \(id)", result) }
            }
        }
    }

    private func speakTLS() throws(ServerError) {
        for port in server.ports {
            guard let tls = port.tls, let context = port.tlsContext else { continue }
            // A worker that replaces another one comes after a change of the files, maybe.
            do throws(ServerError) { try context.reload(tls) } catch {
                Log.error("worker \(id) goes on with certificates that were read before: \(error.message)")
            }
            let result = unsafe cre_engine_set_tls(cre_worker_engine(worker), UInt16(port.index), context.raw)
            guard result == 0 else { throw .system("speaking TLS in worker \(id)", result) }
        }
    }

    /// Whether the calling thread is the loop's. Any thread.
    var isHere: Bool { loop.executor.isHere }

    /// In words, as the log says it.
    var name: String { layout.name(of: id) }

    /// The user's own process has failed: it is replaced.
    func fail(_ cause: String) {
        Log.error("\(name): \(cause)")
        cre_process_exit(1)
    }

    // MARK: Events

    /// How many requests, or tasks, this process may still take; negative: any number.
    @safe @exclusivity(unchecked) private var left: Int

    /// One was taken. The last one starts the end; what else has come is the successor's.
    func count() {
        guard left > 0 else { return }
        left -= 1
        if left == 0 { drain.start(.served) }
    }

    private func receive(_ record: UnsafePointer<cre_record>, _ start: UnsafeMutablePointer<UInt8>?) {
        let fd = unsafe ConnectionID(rawValue: record.pointee.session)
        let payload = unsafe UnsafeRawBufferPointer(start: start, count: Int(record.pointee.length))
        let port = unsafe Int(cre_record_port(record))
        if port > 0 {
            unsafe receive(record, fd, payload, otherHandlers[port - 1])
        } else {
            unsafe receive(record, fd, payload, handlers)
        }
    }

    @inline(__always) private func receive(
        _ record: UnsafePointer<cre_record>, _ fd: ConnectionID, _ payload: UnsafeRawBufferPointer,
        _ handlers: borrowing Handlers
    ) {
        switch unsafe cre_event(rawValue: UInt32(record.pointee.kind)) {
        case CRE_EVENT_MESSAGE:
            count()
            unsafe handlers.message?(self, fd, Opcode(rawValue: record.pointee.opcode), payload)
        case CRE_EVENT_REQUEST:
            guard var request = unsafe Request(fd: fd, number: record.pointee.opcode, payload: payload) else { return }
            if unsafe UInt32(record.pointee.flags) & CRE_RECORD_MORE_BODY != 0 { expectBody(of: &request) }
            count()
            handlers.request?(self, request)
        case CRE_EVENT_REQUEST_BODY:
            let request = unsafe RequestID(connection: fd, number: record.pointee.opcode)
            unsafe receiveBody(of: request, payload, UInt32(record.pointee.flags))
        case CRE_EVENT_OPEN:
            guard let open = handlers.open, let request = unsafe Request(fd: fd, payload: payload) else { return }
            open(self, request)
        case CRE_EVENT_CLOSE:
            guard let close = handlers.close, let reason = unsafe CloseReason(payload) else { return }
            close(self, fd, reason)
        case CRE_EVENT_RECEIVE:
            count()
            unsafe handlers.receive?(self, fd, payload)
        case CRE_EVENT_CONNECT:
            handlers.connect?(self, fd)
        case CRE_EVENT_END:
            // The peer has said all. Answers of a handler that is suspended still reach it.
            if isBusy(fd) { run(fd) { self.finish(fd) } } else { finish(fd) }
        case CRE_EVENT_PACKET:
            guard let packet = unsafe handlers.packet, payload.count >= MemoryLayout<cre_address>.size else { return }
            count()
            let sender = unsafe SocketAddress(payload.load(as: cre_address.self), receivedOn: cre_record_port(record))
            unsafe packet(
                self, sender, UnsafeRawBufferPointer(rebasing: payload[MemoryLayout<cre_address>.size...]))
        default: break
        }
    }

    private func finish(_ fd: ConnectionID) {
        _ = unsafe close(fd, code: 1000, reason: UnsafeRawBufferPointer(start: nil, count: 0))
    }

    // MARK: Commands

    func push(_ fd: ConnectionID, _ opcode: Opcode, finish: Bool, _ payload: UnsafeRawBufferPointer) -> PushResult {
        let result = unsafe cre_worker_push(
            worker, fd.rawValue, opcode.rawValue, finish, payload.baseAddress, payload.count)
        return PushResult(result, local: unsafe result == 0 && cre_worker_owns(worker, fd.rawValue))
    }

    func close(_ fd: ConnectionID, code: UInt16, reason: UnsafeRawBufferPointer) -> Bool {
        unsafe cre_worker_end(worker, fd.rawValue, code, reason.baseAddress, reason.count) == 0
    }

    // A client that left meanwhile is no error for who answers: nobody waits for it any more.
    @discardableResult func respond(
        _ request: RequestID, status: UInt16, flags: UInt16, fields: [UInt8], body: UnsafeRawBufferPointer,
        more: Bool = false
    ) -> Bool {
        unsafe fields.withUnsafeBytes { fields in
            let send = unsafe more ? cre_worker_respond_more : cre_worker_respond
            return unsafe send(
                worker, request.connection.rawValue, request.number, status, flags, false, fields.baseAddress,
                fields.count, body.baseAddress,
                body.count) == 0
        }
    }

    /// Answers with an empty 500 and ends the connection.
    func refuse(_ request: RequestID) {
        unsafe cre_worker_respond(worker, request.connection.rawValue, request.number, 500, 0, true, nil, 0, nil, 0)
    }

    func respondBody(_ request: RequestID, _ bytes: UnsafeRawBufferPointer, final: Bool) -> Bool {
        unsafe cre_worker_respond_body(
            worker, request.connection.rawValue, request.number, bytes.baseAddress, bytes.count, final) == 0
    }

    func respondFile(
        _ request: RequestID, status: UInt16, flags: UInt16, fields: [UInt8], path: String, offset: UInt64,
        length: UInt64
    ) {
        _ = unsafe fields.withUnsafeBytes { fields in
            unsafe cre_worker_respond_file(
                worker, request.connection.rawValue, request.number, status, flags, false, fields.baseAddress,
                fields.count, path, offset, length)
        }
    }

    /// Stops or restarts reading from a connection: it goes on when all who stopped it say so.
    func pause(_ fd: ConnectionID, _ pause: Bool) {
        let count = pauses[fd, default: 0] + (pause ? 1 : -1)
        pauses[fd] = count > 0 ? count : nil
        guard count == (pause ? 1 : 0) else { return }
        var command = cre_record(
            length: 0, kind: UInt8((pause ? CRE_COMMAND_PAUSE : CRE_COMMAND_RESUME).rawValue), opcode: 0, flags: 0,
            session: fd.rawValue)
        unsafe cre_worker_command(worker, &command, nil, 0)
    }

    /// Another worker wrote nonsense into the ring to this one. It cannot be trusted further; the manager, which is the
    /// parent of both, replaces it.
    private func punish(_ node: Int) {
        let pid = bus.pid(ofNode: node)
        Log.error("node \(node) (pid \(pid)) sent a damaged record")
        if pid > 0, pid != getpid(), cre_process_parent(pid) == getppid() { kill(pid, SIGKILL) }
    }

    // MARK: Bodies in pieces

    /// Of requests that were told, until their last piece came.
    private var bodies: [RequestID: IncomingBody] = [:]
    /// How many have stopped the reading of a connection.
    private var pauses: [ConnectionID: Int] = [:]

    private func expectBody(of request: inout Request) {
        let body = IncomingBody(of: request.id, isExpected: request.isExpected, runtime: self)
        request.incoming = body
        bodies[request.id] = body
    }

    /// Of a request that a predecessor took, nobody is here to hear of it.
    private func receiveBody(of request: RequestID, _ piece: UnsafeRawBufferPointer, _ flags: UInt32) {
        let isFinal = flags & CRE_RECORD_FINAL != 0
        let body = isFinal ? bodies.removeValue(forKey: request) : bodies[request]
        unsafe body?.receive(piece, isFinal: isFinal, isBroken: flags & CRE_RECORD_CLOSE != 0)
    }

    /// Has a client that waits for it told to send its body.
    func wantBody(_ request: RequestID) {
        var command = cre_record(
            length: 0, kind: UInt8(CRE_COMMAND_CONTINUE.rawValue), opcode: request.number, flags: 0,
            session: request.connection.rawValue)
        unsafe cre_worker_command(worker, &command, nil, 0)
    }

    // MARK: The end

    func requestTaken() { drain.requestTaken() }

    func requestAnswered(_ request: RequestID) {
        if !bodies.isEmpty { bodies[request]?.cut() }
        drain.requestAnswered()
    }

    /// What is still to come of requests with bodies in pieces is left to the successor, who knows nothing of them.
    func cutBodies() {
        for body in bodies.values { body.cut() }
    }

    func closeLink() {
        timers.whenFewer = nil  // nobody waits for them any more
        timers.clearAll()
        unsafe cre_worker_close(worker)
    }
}

/// Lets a closure that is made in `init` reach the object that is being made.
private final class Relay {
    unowned var runtime: WorkerRuntime!
}
