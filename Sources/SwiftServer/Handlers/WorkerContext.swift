internal import CReactor
internal import CReactorInternal
internal import Glibc

/// A worker as its handlers use it: the lanes they run in, and the commands they give.
///
/// Commands may come from any thread. On the loop's thread they go straight to the link; from elsewhere their bytes are
/// copied and they are posted to the loop.
@safe final class WorkerContext: @unchecked Sendable {
    // `@unchecked`: what is not a constant is used on the loop's thread only.
    let id: Int
    /// The name of the process in titles and in the log.
    let name: String
    let link: WorkerLink
    let loop: EventLoop
    private let executor: LoopExecutor
    let bus: Bus
    let lanes: HandlerLanes
    let requests: OpenRequests
    /// The open requests, without counting: there are several uses for each request.
    let openRequests: Uncounted<OpenRequests>
    let timers: Timers
    /// What ``Connection/info`` needs to know of the server.
    let server: ConnectionInfo.Server
    /// Requests, messages and packets that this worker may still take.
    @safe @exclusivity(unchecked) var quota = Quota(0)
    /// Called with the last one of the quota; events that were not read are left to the successor.
    var whenQuotaReached: (() -> Void)?
    /// See ``Settings/requestTimeout``.
    let requestTimeout: Duration?
    /// Lines about requests and handshakes that were not answered in time.
    let lateLines = LogLimit()
    /// The ``PortEncoders``, which belong to a higher layer; `nil`: no port compresses responses. Set once.
    @safe @exclusivity(unchecked) var compression: AnyObject?
    /// The tasks that ask for a further request.
    @safe @exclusivity(unchecked) var askers = RequestAskers()
    /// The ``Monitor``, which belongs to a higher layer. Set once.
    @safe @exclusivity(unchecked) var monitor: AnyObject?
    /// The questions to the gateway; `nil` without a cluster. Set once.
    @safe @exclusivity(unchecked) var questions: GatewayQuestions?
    /// The questions to the owners of sockets for numbers of subscribers. Set once.
    @safe @exclusivity(unchecked) var counts: OwnerSurvey<Int>?
    /// The values of a server without a cluster; `nil` with one. Set once.
    @safe @exclusivity(unchecked) var values: SharedValues?
    /// Called when a connection got a user id here.
    var whenBound: ((ConnectionID, UInt32) -> Void)?
    /// Ends the process, or the server in ``ServerMode/single``, since `onWorkerStart` has failed for this cause.
    var whenStartFailed: ((String) -> Void)?
    /// The bytes of the message that is being delivered.
    @safe @exclusivity(unchecked) private var messages = MessageMemory()
    /// The handshakes of open WebSockets; empty unless ``Settings/keepsHandshakes``.
    @safe @exclusivity(unchecked) var handshakes: [ConnectionID: Request] = [:]
    /// The connection whose `onConnect` is being called, if its client has presented a certificate.
    @safe @exclusivity(unchecked) var connecting: (fd: ConnectionID, certificate: [UInt8])?

    init(
        id: Int, name: String, link: WorkerLink, loop: EventLoop, bus: Bus, lanes: HandlerLanes, requests: OpenRequests,
        timers: Timers, server: ConnectionInfo.Server, requestTimeout: Duration?
    ) {
        self.id = id
        self.name = name
        self.link = link
        self.loop = loop
        executor = loop.executor
        self.bus = bus
        self.lanes = lanes
        self.requests = requests
        openRequests = Uncounted(requests)
        self.timers = timers
        self.server = server
        self.requestTimeout = requestTimeout
        // Not weak: that would make each retain of this object slow, and there is one for each message.
        lanes.runners.whenFailed = { [unowned self] event, connection, error in
            if let connection { handlerFailed(event, connection, error) } else { handlerFailed(event, error) }
        }
    }

    /// False in a successor until it takes over from its predecessor, and after the link was closed, in a program that
    /// continues after its server: handlers that are still suspended then reach nobody. ``isHere`` is false, too.
    @safe @exclusivity(unchecked) private(set) var isOpen = false
    @safe @exclusivity(unchecked) private(set) var hasClosed = false
    /// The loop's thread while the link is open, else none.
    @safe @exclusivity(unchecked) private var thread: pthread_t = 0

    /// After the link was opened, on the loop's thread.
    func open() {
        isOpen = true
        thread = pthread_self()
        lanes.runners.worker = Uncounted(self)
    }

    /// Before the link is closed.
    func close() {
        isOpen = false
        hasClosed = true
        thread = 0
        requests.whenAnswered = nil
        _ = requests.takeReusableResponse()  // it refers to this object
        questions?.end()
        counts?.end()
        lanes.runners.whenFailed = nil
        lanes.runners.worker = nil
        requests.cutBodies()
        lanes.end()
    }

    /// Whether the calling thread is the loop's and the link is open, so that commands take effect at once. Others are
    /// posted to the loop. Any thread.
    @inline(__always) var isHere: Bool { pthread_self() == thread }

    /// Whether the calling thread is the loop's. Any thread.
    var isOnLoop: Bool { executor.isHere }

    /// Whether a handler of this connection is suspended, so that its other events must be queued.
    @inline(__always) func isBusy(_ fd: ConnectionID) -> Bool { lanes.isBusy(fd) }

    // MARK: Received messages

    /// Counts a request, message or packet.
    @inline(__always) func count() {
        if quota.take() { reachQuota() }
    }

    @inline(never) private func reachQuota() { whenQuotaReached?() }

    /// Lends the payload of a message that is being delivered to a frame that `body` borrows. Whoever keeps the
    /// frame gets a copy of the payload.
    @inline(__always) func lendUncounted(
        _ fd: ConnectionID, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, _ body: (LentFrame) -> Void
    ) {
        let message = unsafe messages.lendToFrame(payload)
        body(LentFrame(fd: fd, opcode: opcode, received: message))
        messages.takeBack(message)
    }

    /// Lends the payload of a message that is being delivered to a frame that `body` gives away, likewise.
    @inline(__always) func lend(
        _ fd: ConnectionID, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, _ body: (consuming Frame) -> Void
    ) {
        unsafe body(Frame(fd: fd, opcode: opcode, received: messages.lend(payload)))
        messages.settle()
    }

    /// Lends the payload of a message that is being delivered to a task, which takes it back; `body` resumes that.
    @inline(__always) func lendToTask(
        _ fd: ConnectionID, _ opcode: Opcode, _ payload: UnsafeRawBufferPointer, _ body: (TaskMessage) -> Void
    ) {
        let message = unsafe messages.lendToFrame(payload)
        body(TaskMessage(fd: fd, opcode: opcode, bytes: message))
        messages.settle()
    }

    /// Takes a message back from a task whose handler has returned.
    @inline(__always) func takeBack(_ message: Uncounted<MessageBytes>) {
        assert(isOnLoop, "messages are taken back on the loop")
        messages.takeBack(message)
    }

    /// As ``takeMessage(_:)``, for a task from which the last message of the connection was taken back.
    @inline(__always) func lendMessage(_ fd: ConnectionID) -> TaskMessage? {
        guard !isBusy(fd), let (opcode, payload) = unsafe link.takeMessage(fd) else { return nil }
        count()
        let message = unsafe messages.lendToFrame(payload)
        return TaskMessage(fd: fd, opcode: opcode, bytes: message)
    }

    /// While a message of the connection is being delivered, the next one may be there already. Taking it here saves
    /// suspending the handler, and resuming it for the message; each is still taken when the one before is finished.
    @inline(__always) func takeMessage(_ fd: ConnectionID) -> Frame? {
        if !link.ownsSockets, messages.isShared {
            // To take one from a ring may free the one before.
            guard link.mayTakeMessage(fd) else { return nil }
            messages.settle()
        }
        guard let (opcode, payload) = unsafe link.takeMessage(fd) else { return nil }
        count()
        return unsafe Frame(fd: fd, opcode: opcode, received: messages.lend(payload))
    }

    // MARK: WebSockets

    @inline(__always) func push(_ text: String, to fd: ConnectionID) -> PushResult {
        var text = text
        guard isHere else { return post(push: [UInt8](text.utf8), fd, .text, finish: true) }
        return text.withUTF8 { unsafe link.push(fd, .text, finish: true, UnsafeRawBufferPointer($0)) }
    }

    @inline(__always) func push(_ bytes: [UInt8], to fd: ConnectionID, opcode: Opcode, finish: Bool) -> PushResult {
        guard opcode != .close, isHere else { return pushInOtherWay(bytes, to: fd, opcode, finish: finish) }
        return unsafe bytes.withUnsafeBytes { unsafe link.push(fd, opcode, finish: finish, $0) }
    }

    @inline(__always)
    func push(_ bytes: RawSpan, to fd: ConnectionID, opcode: Opcode, finish: Bool) -> PushResult {
        unsafe bytes.withUnsafeBytes {
            guard opcode != .close, isHere else {
                return unsafe pushInOtherWay([UInt8]($0), to: fd, opcode, finish: finish)
            }
            return unsafe link.push(fd, opcode, finish: finish, $0.baseAddress, bytes.byteCount)
        }
    }

    @inline(__always) func push(_ frame: Frame, to fd: ConnectionID) -> PushResult {
        let (opcode, finish) = (frame.opcode, frame.finish)
        guard opcode != .close, isHere else { return pushInOtherWay(frame.bytes, to: fd, opcode, finish: finish) }
        // With a pointer the frame is not counted while the link has it, as it would be in a closure.
        if let bytes = unsafe frame.borrowedBytes {
            defer { extendLifetime(frame) }
            return unsafe link.push(fd, opcode, finish: finish, bytes)
        }
        return unsafe frame.withBuffer { unsafe link.push(fd, opcode, finish: finish, $0) }
    }

    /// A close frame, or a message from another thread.
    @inline(never)
    private func pushInOtherWay(_ bytes: [UInt8], to fd: ConnectionID, _ opcode: Opcode, finish: Bool) -> PushResult {
        opcode == .close ? push(close: bytes, to: fd, finish: finish) : post(push: bytes, fd, opcode, finish: finish)
    }

    /// A close frame begins the closing handshake, or answers that of the client.
    private func push(close payload: [UInt8], to fd: ConnectionID, finish: Bool) -> PushResult {
        guard let frame = CloseFrame(payload: payload), finish else { return .invalid }
        guard bus.exists(fd) else { return .closed }
        guard bus.isOpen(fd) else { return info(fd)?.webSocketStatus == .closing ? .closed : .notWebSocket }
        return PushResult(close(fd, code: frame.code == 1005 ? 1000 : frame.code, reason: frame.reason))
    }

    private func post(push bytes: [UInt8], _ fd: ConnectionID, _ opcode: Opcode, finish: Bool) -> PushResult {
        guard bus.exists(fd) else { return .closed }
        guard bus.isOpen(fd) else { return .notWebSocket }
        loop.post { [link] in
            unsafe bytes.withUnsafeBytes { _ = unsafe link.push(fd, opcode, finish: finish, $0) }
        }
        return .queued
    }

    /// Publishes a message; with opcode close, the payload of a close frame, it disconnects a user.
    func publish(
        _ audience: Audience, _ bytes: UnsafeRawBufferPointer, _ opcode: Opcode, except: ConnectionID?
    ) -> PushResult {
        guard !isHere else { return unsafe link.publish(audience, opcode, bytes, except: except) }
        guard opcode == .text || opcode == .binary || opcode == .close, audience.isValid else { return .invalid }
        let copy = unsafe [UInt8](bytes)
        loop.post { [link] in
            unsafe copy.withUnsafeBytes { _ = unsafe link.publish(audience, opcode, $0, except: except) }
        }
        return .queued
    }

    func subscribe(_ fd: ConnectionID, _ topic: String, _ isSubscribed: Bool) -> PushResult {
        guard !isHere else { return link.subscribe(fd, topic, isSubscribed) }
        guard bus.exists(fd) else { return .closed }
        guard bus.isOpen(fd) else { return .notWebSocket }
        guard Audience.topic(topic).isValid else { return .invalid }
        loop.post { [link] in _ = link.subscribe(fd, topic, isSubscribed) }
        return .queued
    }

    // MARK: Streams and datagrams

    @inline(__always) func send(_ text: String, to fd: ConnectionID) -> PushResult {
        var text = text
        guard isHere else { return post(send: [UInt8](text.utf8), fd) }
        return text.withUTF8 { unsafe link.send(fd, UnsafeRawBufferPointer($0)) }
    }

    @inline(__always) func send(_ bytes: [UInt8], to fd: ConnectionID) -> PushResult {
        guard isHere else { return post(send: bytes, fd) }
        return unsafe bytes.withUnsafeBytes { unsafe link.send(fd, $0) }
    }

    @inline(__always) func send(_ bytes: RawSpan, to fd: ConnectionID) -> PushResult {
        unsafe bytes.withUnsafeBytes {
            guard isHere else { return unsafe post(send: [UInt8]($0), fd) }
            return unsafe link.send(fd, $0)
        }
    }

    private func post(send bytes: [UInt8], _ fd: ConnectionID) -> PushResult {
        guard bus.exists(fd) else { return .closed }
        guard bus.isStream(fd) else { return .notStream }
        loop.post { [link] in unsafe bytes.withUnsafeBytes { _ = unsafe link.send(fd, $0) } }
        return .queued
    }

    func send(_ bytes: [UInt8], to address: SocketAddress, port: Int) -> PushResult {
        guard isHere else {
            loop.post { [link] in _ = link.send(bytes, to: address, port: port) }
            return .queued
        }
        return link.send(bytes, to: address, port: port)
    }

    // MARK: Any connection

    func close(_ fd: ConnectionID, code: UInt16, reason: String) -> CommandResult {
        var reason = reason
        if isHere {
            return reason.withUTF8 { unsafe link.close(fd, code: code, reason: UnsafeRawBufferPointer($0)) }
        }
        guard bus.exists(fd) else { return .closed }
        guard code == 0 || cre_ws_close_code_valid(UInt32(code)) else { return .invalid }
        let copy = [UInt8](reason.utf8)
        loop.post { [link] in unsafe copy.withUnsafeBytes { _ = unsafe link.close(fd, code: code, reason: $0) } }
        return .queued
    }

    func protect(_ fd: ConnectionID, _ isProtected: Bool) -> CommandResult {
        guard bus.exists(fd) else { return .closed }
        if isHere { return link.protect(fd, isProtected) }
        loop.post { [link] in link.protect(fd, isProtected) }
        return .queued
    }

    func bind(_ fd: ConnectionID, to user: UInt32) -> CommandResult {
        if isHere {
            let result = link.bind(fd, to: user)
            if result.isAccepted { whenBound?(fd, user) }
            return result
        }
        guard let info = info(fd) else { return .closed }
        guard info.userID == nil else { return .bound }
        loop.post { [self] in if isOpen { _ = bind(fd, to: user) } }
        return .queued
    }

    func bind(_ fd: ConnectionID, to user: String) -> CommandResult {
        if isHere { return link.bind(fd, to: user) }
        guard bus.exists(fd) else { return .closed }
        guard bus.isOpen(fd) else { return .notWebSocket }
        guard Audience.user(user).isValid else { return .invalid }
        loop.post { [link] in _ = link.bind(fd, to: user) }
        return .queued
    }

    func unbind(_ fd: ConnectionID) -> CommandResult {
        if isHere { return link.unbind(fd) }
        guard bus.exists(fd) else { return .closed }
        loop.post { [link] in _ = link.unbind(fd) }
        return .queued
    }

    func info(_ fd: ConnectionID, ignoringClose: Bool = false) -> ConnectionInfo? {
        ConnectionInfo(fd, bus, server, ignoringClose: ignoringClose)
    }

    /// Ends the process at once: a custom process has failed, and is replaced.
    func fail(_ cause: String) {
        Log.error("\(name): \(cause)")
        ProcessEnd.exit(1)
    }
}
