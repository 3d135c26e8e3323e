/// Who is subscribed to a topic, on all servers of a ``Server/cluster``.
///
/// ```swift
/// server.onOpen { server, request in
///     server.subscribe(request.fd, to: "room:lobby", as: "ann", info: "Ann B.")
/// }
/// server.onJoin { server, topic, member in
///     server.publish("\(member.info) is here", to: topic)
/// }
/// ```
extension WebSocketServer {
    /// Subscribes an open WebSocket to a topic as a member of it, whom ``presence(of:timeout:)`` lists on all servers.
    /// From any worker, on any thread.
    ///
    /// Several connections with the same id, such as two windows of a user, are one member: it joins with the first
    /// one and leaves with the last. A connection has one id in a topic; another call replaces id and info. A member
    /// leaves when its connections are closed or unsubscribed, and within ``Cluster/presenceTimeout`` when their server
    /// crashes.
    ///
    /// - Parameters:
    ///   - fd: the connection.
    ///   - topic: the topic's name.
    ///   - id: 1 to 255 bytes.
    ///   - info: at most 1,024 bytes.
    /// - Returns: the results of ``subscribe(_:to:)``; ``PushResult/invalid`` also for an id or info of another length,
    ///   and ``PushResult/unavailable`` without a ``Server/cluster`` unless ``Cluster/keepsMembers`` or a handler
    ///   `onJoin` or `onLeave` is set.
    @discardableResult
    public func subscribe(_ fd: ConnectionID, to topic: String, as id: String, info: String = "") -> PushResult {
        worker?.join(fd, topic, TopicMember(id: id, info: info)) ?? .closed
    }

    /// The members of a topic on all servers, sorted by their ids. From every process that runs handlers, on any
    /// thread.
    ///
    /// What this worker has subscribed before may be missing for a moment.
    ///
    /// - Throws: ``ClusterError/tooMany(_:)`` above 10,000 members or 4 MiB of them, ``ClusterError/unavailable``
    ///   without a connection with the cluster or an answer within `timeout`, and with NATS without JetStream,
    ///   ``ClusterError/noCluster``, ``ClusterError/invalid``.
    public func presence(
        of topic: String, timeout: Duration = .seconds(5)
    ) async throws(ClusterError) -> [TopicMember] {
        guard let worker else { throw .noCluster }
        guard Audience.topic(topic).isValid else { throw .invalid }
        let list = try await worker.members(of: topic, most: WebSocketServer.mostMembers, timeout: timeout)
        guard list.isComplete else { throw .tooMany(list.count) }
        return list.members.sorted { $0.id < $1.id }
    }

    /// The number of members of a topic on all servers. With NATS a number above 10,000 includes members who have just
    /// left, and those of a crashed server until another one removes them.
    ///
    /// - Throws: as ``presence(of:timeout:)``, and never ``ClusterError/tooMany(_:)``.
    public func presenceCount(of topic: String, timeout: Duration = .seconds(5)) async throws(ClusterError) -> Int {
        guard let worker else { throw .noCluster }
        guard Audience.topic(topic).isValid else { throw .invalid }
        return try await worker.members(of: topic, most: 0, timeout: timeout).count
    }

    /// The most members of one list.
    private static let mostMembers = 10_000
}

// MARK: - Events

extension ServerEvents where Self: WebSocketServer {
    /// Called when a topic has a new member in the ``Server/cluster``: once, in one worker of one server, so that what
    /// it publishes is published once. All servers need the handler. The events of a topic come in order. One is lost
    /// with a killed gateway or worker that has it; another may come again when Redis or NATS has lost its data.
    public func onJoin(_ handler: @escaping @MainActor (Self, String, TopicMember) throws -> Void) {
        register(.join) { processHandlers.join = direct(.join, handler) }
    }

    /// Called when a topic has a new member. While the handler is suspended, it may be called with further ones.
    public func onJoin(_ handler: @escaping @MainActor (Self, String, TopicMember) async throws -> Void) {
        register(.join) { processHandlers.join = suspending(.join, handler) }
    }

    /// Called when a member has left a topic in the ``Server/cluster``, as `onJoin` is. When a server has
    /// crashed, one of the others is called with its members, after ``Cluster/presenceTimeout`` and a quarter of it at
    /// the latest.
    public func onLeave(_ handler: @escaping @MainActor (Self, String, TopicMember) throws -> Void) {
        register(.leave) { processHandlers.leave = direct(.leave, handler) }
    }

    /// Called when a member has left a topic. While the handler is suspended, it may be called with further ones.
    public func onLeave(_ handler: @escaping @MainActor (Self, String, TopicMember) async throws -> Void) {
        register(.leave) { processHandlers.leave = suspending(.leave, handler) }
    }

    private func direct(
        _ event: ServerEvent.Kind, _ handler: @escaping @MainActor (Self, String, TopicMember) throws -> Void
    ) -> (MemberChange) -> Void {
        let (owner, direct) = (HandlerOwner(self), MainLoop.direct(handler))
        return { change in
            owner.with { server in
                do {
                    try direct(server, change.topic, change.member)
                } catch {
                    server.worker?.handlerFailed(event, error)
                }
            }
        }
    }

    private func suspending(
        _ event: ServerEvent.Kind, _ handler: @escaping @MainActor (Self, String, TopicMember) async throws -> Void
    ) -> (MemberChange) -> Void {
        let owner = HandlerOwner(self)
        return { change in
            guard let worker = owner.object.worker else { return }
            let (topic, member) = (change.topic, change.member)
            worker.lanes.runners.start(event) { try await handler(owner.object, topic, member) }
        }
    }
}

// MARK: - By name

extension ServerEvents where Self: WebSocketServer {
    /// `join` and `leave`.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, String, TopicMember) throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.join, .leave]) { event in
            event == .join ? onJoin(handler) : onLeave(handler)
        }
    }

    /// `join` and `leave`, asynchronous.
    public func on(
        _ event: String, file: String = #fileID, line: Int = #line,
        _ handler: @escaping @MainActor (Self, String, TopicMember) async throws -> Void
    ) {
        ports[0].register(NamedRegistration(event, file, line), [.join, .leave], isAsync: true) { event in
            event == .join ? onJoin(handler) : onLeave(handler)
        }
    }
}
