internal import CReactor
internal import CReactorInternal

/// A process's end of the link: events arrive through ``Callbacks``, commands leave through the methods.
///
/// Whether this process owns the sockets itself (base mode) or reaches their owner through shared memory makes no
/// difference here.
@safe struct WorkerLink: @unchecked Sendable {
    // `@unchecked`: used on the loop's thread only. Without references to objects, so that each use costs no retain.
    let raw: OpaquePointer
    /// The node of the first process.
    private let firstNode: Int
    private let handlerProcesses: Int
    /// The node of this process if it owns sockets.
    let ownNode: Int?
    /// Whether this process owns sockets.
    let ownsSockets: Bool
    /// Whether this process owns all connections of the server.
    private let ownsAll: Bool
    /// The place in the cluster, and the rules of topics.
    private let cluster: UnsafePointer<cre_cluster_place>?

    /// The functions that receive from the link. All get `context`, which must live as long as the link.
    @unsafe struct Callbacks {
        /// Receives the events of connections; `nil` in a process that has none.
        var onEvent:
            (
                @convention(c) (
                    UnsafeMutableRawPointer?, UnsafePointer<cre_record>?, UnsafeMutablePointer<UInt8>?
                ) -> Void
            )?
        /// Receives tasks, results and messages of other processes.
        var onMessage:
            (
                @convention(c) (
                    UnsafeMutableRawPointer?, UInt32, UnsafePointer<cre_record>?, UnsafeMutablePointer<UInt8>?
                ) -> Void
            )?
        /// Receives the node of a process that has written a corrupt record.
        var onProtocolError: (@convention(c) (UnsafeMutableRawPointer?, UInt32) -> Void)?
        /// Receives the number of values in shared memory that another process has overwritten and this one has
        /// restored.
        var onRepair: (@convention(c) (UnsafeMutableRawPointer?, UInt64) -> Void)?
        /// Whether events of a connection are still served here while this process is leaving.
        var keeps: (@convention(c) (UnsafeMutableRawPointer?, cre_session) -> Bool)?
        /// Receives calls that have blocked the process for ``slowAfter``, with the payload of an event and the time in
        /// nanoseconds.
        var onSlow:
            (
                @convention(c) (
                    UnsafeMutableRawPointer?, UnsafePointer<cre_record>?, UnsafePointer<UInt8>?, UInt64
                ) -> Void
            )?
        /// `nil`: never.
        var slowAfter: Duration?
        var context: UnsafeMutableRawPointer?
    }

    /// Prepares the end of the link of process `id`. It must be opened before anything but an activity is sent.
    /// `isOwner`: this process owns its sockets. `cluster` must live as long as the link.
    init(
        id: Int, layout: Layout, loop: EventLoop, bus: Bus, isOwner: Bool,
        cluster: UnsafePointer<cre_cluster_place>?, callbacks: Callbacks
    ) throws(ServerError) {
        var worker: OpaquePointer?
        var config = unsafe cre_worker_config(
            bus: bus.raw, node: UInt32(layout.node(of: id)), on_event: callbacks.onEvent,
            on_message: callbacks.onMessage, violation: callbacks.onProtocolError, repaired: callbacks.onRepair,
            slow: callbacks.onSlow, keeps: callbacks.keeps,
            slow_ns: UInt64(max(0, callbacks.slowAfter?.nanoseconds ?? 0)),
            context: callbacks.context, engine: nil, max_queue: 0, first_owner: UInt16(layout.owners.lowerBound),
            owner_count: UInt16(layout.owners.count), first_task: UInt16(layout.taskNodes.lowerBound),
            task_count: UInt16(layout.taskNodes.count), cluster: cluster)
        let result = unsafe cre_worker_prepare(loop.raw, &config, &worker)
        guard result == 0, let worker = unsafe worker else {
            throw .system("cannot prepare \(layout.name(of: id))", result)
        }
        unsafe raw = worker
        firstNode = layout.node(of: 0)
        handlerProcesses = layout.handlerProcesses
        ownNode = isOwner ? layout.node(of: id) : nil
        ownsSockets = isOwner
        ownsAll = isOwner && layout.owners.count == 1
        unsafe self.cluster = unsafe cluster
    }

    /// Opens the link, after the predecessor of this process has ended; `engine` is for one that owns its sockets.
    /// Returns 0 or an error.
    func open(engine: cre_engine_config?) -> Int32 {
        guard var engine = unsafe engine else { return unsafe cre_worker_open(raw, nil) }
        return unsafe cre_worker_open(raw, &engine)
    }

    /// Closes the link. Not inside a callback.
    func close() { unsafe cre_worker_destroy(raw) }

    // MARK: Connections

    /// Whether this process owns the connection: a command to it is carried out before it returns.
    @inline(__always) func owns(_ fd: ConnectionID) -> Bool {
        if ownsAll { return true }
        return ownsSockets ? unsafe cre_worker_owns(raw, fd.rawValue) : false
    }

    @inline(__always)
    func push(_ fd: ConnectionID, _ opcode: Opcode, finish: Bool, _ payload: UnsafeRawBufferPointer) -> PushResult {
        unsafe push(fd, opcode, finish: finish, payload.baseAddress, payload.count)
    }

    /// With `count` bytes at `start`.
    @inline(__always) func push(
        _ fd: ConnectionID, _ opcode: Opcode, finish: Bool, _ start: UnsafeRawPointer?, _ count: Int
    ) -> PushResult {
        let result = unsafe cre_worker_push(raw, fd.rawValue, opcode.rawValue, finish, start, count)
        return PushResult(result, local: owns(fd))
    }

    /// Whether ``takeMessage(_:)`` has something to look at: if not, the payload in hand stays valid.
    @inline(__always) func mayTakeMessage(_ fd: ConnectionID) -> Bool {
        unsafe cre_worker_may_take_message(raw, fd.rawValue)
    }

    /// Takes the next message of the connection whose message is being delivered, if it is there already. To another
    /// process that owns the connection, what was sent so far is published before, as between two deliveries; the
    /// payload of the message before is no longer valid then.
    @inline(__always) func takeMessage(_ fd: ConnectionID) -> (Opcode, UnsafeRawBufferPointer)? {
        var record = cre_record()
        var payload: UnsafeMutablePointer<UInt8>?
        guard unsafe cre_worker_take_message(raw, fd.rawValue, &record, &payload) else { return nil }
        return unsafe (
            Opcode(rawValue: record.opcode), UnsafeRawBufferPointer(start: payload, count: Int(record.length))
        )
    }

    /// Whether ``serveRequest(_:)`` has something to look at.
    @inline(__always) func mayServeRequest(_ fd: ConnectionID) -> Bool {
        unsafe cre_worker_may_serve_request(raw, fd.rawValue)
    }

    /// While a request of the connection is being served by the process that owns it: has the next one received as an
    /// event before this returns, if it is there already. Over HTTP/2 it may be that of another stream, which is a
    /// connection of its own. Returns its connection, for the next call of this; `nil` if there was none.
    @inline(__always) func serveRequest(_ fd: ConnectionID) -> ConnectionID? {
        let next = unsafe cre_worker_serve_request(raw, fd.rawValue)
        return next == 0 ? nil : ConnectionID(rawValue: next)
    }

    func send(_ fd: ConnectionID, _ payload: UnsafeRawBufferPointer) -> PushResult {
        let result = unsafe cre_worker_send(raw, fd.rawValue, payload.baseAddress, payload.count)
        return PushResult(result, local: owns(fd))
    }

    func send(_ bytes: [UInt8], to address: SocketAddress, port: Int) -> PushResult {
        var to = address.core
        let result = unsafe bytes.withUnsafeBytes {
            unsafe cre_worker_send_to(raw, UInt16(port), &to, $0.baseAddress, $0.count)
        }
        return PushResult(result, local: ownsSockets)
    }

    @discardableResult
    func close(_ fd: ConnectionID, code: UInt16, reason: UnsafeRawBufferPointer) -> CommandResult {
        let isLocal = owns(fd)  // it may be gone afterwards
        let result = unsafe cre_worker_close(raw, fd.rawValue, code, reason.baseAddress, reason.count)
        return CommandResult(result, local: isLocal)
    }

    /// Gives the connection a user id.
    func bind(_ fd: ConnectionID, to user: UInt32) -> CommandResult {
        CommandResult(unsafe cre_worker_bind(raw, fd.rawValue, user), local: owns(fd))
    }

    /// Gives the connection a user without a number.
    func bind(_ fd: ConnectionID, to user: String) -> CommandResult {
        var user = user
        let isLocal = owns(fd)
        return user.withUTF8 {
            CommandResult(
                unsafe cre_worker_bind_name(raw, fd.rawValue, $0.baseAddress, $0.count), local: isLocal)
        }
    }

    /// Ends what `bind` has begun.
    func unbind(_ fd: ConnectionID) -> CommandResult {
        let isLocal = owns(fd)
        return CommandResult(unsafe cre_worker_unbind(raw, fd.rawValue), local: isLocal)
    }

    /// Exempts the connection from the heartbeat, or ends the exemption.
    @discardableResult
    func protect(_ fd: ConnectionID, _ isProtected: Bool) -> CommandResult {
        command(CRE_COMMAND_PROTECT, fd, opcode: isProtected ? 1 : 0)
    }

    /// Pauses or resumes reading from the connection.
    func setPaused(_ fd: ConnectionID, _ isPaused: Bool) {
        command(isPaused ? CRE_COMMAND_PAUSE : CRE_COMMAND_RESUME, fd)
    }

    /// Sends "100 Continue" to a client that expects it.
    func sendContinue(_ request: RequestID) {
        command(CRE_COMMAND_CONTINUE, request.connection, opcode: request.number)
    }

    @discardableResult
    func command(_ kind: cre_command, _ fd: ConnectionID, opcode: UInt8 = 0) -> CommandResult {
        var command = cre_record(
            length: 0, kind: UInt8(kind.rawValue), opcode: opcode, flags: 0, session: fd.rawValue)
        let isLocal = owns(fd)
        return CommandResult(unsafe cre_worker_command(raw, &command, nil, 0), local: isLocal)
    }

    // MARK: Topics

    /// Whether what is published goes to a cluster.
    var isInCluster: Bool {
        unsafe cluster.map { unsafe $0.pointee.gateway != 0 && !$0.pointee.local } ?? false
    }

    /// Whether topics have members.
    var hasMembers: Bool { unsafe cluster.map { unsafe $0.pointee.gateway != 0 } ?? false }

    /// What clients of a topic get.
    func traits(of topic: String) -> TopicTraits {
        guard let cluster = unsafe cluster else { return TopicTraits() }
        var topic = topic
        return topic.withUTF8 {
            guard let rule = unsafe cre_topic_rule_of(cluster, $0.baseAddress, $0.count) else { return TopicTraits() }
            return unsafe TopicTraits(hasHistory: rule.pointee.history_count > 0, isEnveloped: rule.pointee.enveloped)
        }
    }

    /// Publishes a message; with opcode close, the payload of a close frame, it disconnects a user.
    func publish(
        _ audience: Audience, _ opcode: Opcode, _ bytes: UnsafeRawBufferPointer, except: ConnectionID?
    ) -> PushResult {
        let (session, kind) = (except?.rawValue ?? 0, opcode.rawValue)
        let result: Int32
        switch audience {
        case .topic(var topic):
            result = topic.withUTF8 {
                unsafe cre_worker_publish(
                    raw, $0.baseAddress, $0.count, kind, bytes.baseAddress, bytes.count, session)
            }
        case .user(var name):
            result = name.withUTF8 {
                unsafe cre_worker_publish_to_user(
                    raw, $0.baseAddress, $0.count, kind, bytes.baseAddress, bytes.count, session)
            }
        case .everyone:
            result = unsafe cre_worker_broadcast(raw, kind, bytes.baseAddress, bytes.count, session)
            return PushResult(result, local: ownsAll)
        case .cluster:
            result = unsafe cre_worker_broadcast_to_cluster(raw, kind, bytes.baseAddress, bytes.count, session)
        }
        return PushResult(result, local: ownsAll && !isInCluster)
    }

    /// Subscribes a connection to a topic, or unsubscribes it.
    func subscribe(_ fd: ConnectionID, _ topic: String, _ isSubscribed: Bool) -> PushResult {
        guard (1...Int(CRE_MAX_TOPIC)).contains(topic.utf8.count) else { return .invalid }
        var topic = topic
        let result = topic.withUTF8 {
            unsafe cre_worker_subscribe(raw, fd.rawValue, $0.baseAddress, $0.count, isSubscribed)
        }
        return result == CRE_ELIMIT.rawValue ? .limitReached : PushResult(result, local: ownsAll)
    }

    /// Whether a topic and a member may be subscribed: their lengths.
    static func isMember(_ topic: String, _ member: TopicMember) -> Bool {
        (1...Int(CRE_MAX_TOPIC)).contains(topic.utf8.count)
            && (1...Int(CRE_MAX_MEMBER_ID)).contains(member.id.utf8.count)
            && member.info.utf8.count <= Int(CRE_MAX_MEMBER_INFO)
    }

    /// Subscribes a connection to a topic as a member.
    func join(_ fd: ConnectionID, _ topic: String, _ member: TopicMember) -> PushResult {
        guard hasMembers else { return .unavailable }
        var (topic, id, info) = (topic, member.id, member.info)
        let result = topic.withUTF8 { topic in
            id.withUTF8 { id in
                info.withUTF8 { info in
                    unsafe cre_worker_join(
                        raw, fd.rawValue, cre_slice(data: topic.baseAddress, length: topic.count),
                        cre_slice(data: id.baseAddress, length: id.count),
                        cre_slice(data: info.baseAddress, length: info.count))
                }
            }
        }
        return result == CRE_ELIMIT.rawValue ? .limitReached : PushResult(result, local: ownsAll)
    }

    // MARK: Messages

    /// Asks the gateway. The answer comes with the same number. Returns 0 or an error.
    func ask(_ number: UInt64, _ question: cre_question, _ payload: [UInt8]) -> Int32 {
        unsafe payload.withUnsafeBufferPointer {
            var part = unsafe cre_slice(data: $0.baseAddress, length: $0.count)
            return unsafe cre_worker_ask(raw, number, question, &part, 1)
        }
    }

    /// The position behind what was sent to the owner of the connection.
    func sent(_ fd: ConnectionID) -> UInt64 { unsafe cre_worker_sent(raw, fd.rawValue) }

    /// Sends a message to another process.
    func send(message bytes: [UInt8], to id: Int) -> PushResult {
        guard (0..<handlerProcesses).contains(id) else { return .invalid }
        let result = unsafe bytes.withUnsafeBytes {
            unsafe cre_worker_send_message(raw, UInt32(firstNode + id), $0.baseAddress, $0.count)
        }
        return PushResult(result, local: false)
    }
}

/// What clients get of a topic.
struct TopicTraits {
    var hasHistory = false
    var isEnveloped = false
}

extension Audience {
    /// The topic of those who are subscribed to one; users have topics of their own.
    var topic: String? {
        switch self {
        case .topic(let name): name
        case .user(let name): CRE_TOPIC_USER + name
        case .everyone, .cluster: nil
        }
    }

    /// Whether the C core takes the name.
    var isValid: Bool {
        switch self {
        case .topic(let name): (1...Int(CRE_MAX_TOPIC)).contains(name.utf8.count) && !Audience.isReserved(name)
        case .user(let name): (1...Int(CRE_MAX_USER)).contains(name.utf8.count)
        case .everyone, .cluster: true
        }
    }

    /// Whether a topic cannot be used by applications.
    static func isReserved(_ topic: String) -> Bool { topic.utf8.starts(with: CRE_TOPIC_RESERVED.utf8) }
}

extension WorkerLink {
    /// Closes a connection whose client has ended its side: a close frame is answered with its own code.
    func finish(_ fd: ConnectionID) {
        unsafe close(fd, code: 0, reason: UnsafeRawBufferPointer(start: nil, count: 0))
    }
}
