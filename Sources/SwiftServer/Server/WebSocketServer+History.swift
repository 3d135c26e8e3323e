/// Topics with history, in a ``Server/cluster``.
extension WebSocketServer {
    /// Subscribes an open WebSocket to a topic with ``TopicSettings/history``, and sends it the messages after a
    /// position first: those that its client has missed, in order, then live ones, each once. From any worker, on any
    /// thread.
    ///
    /// ```swift
    /// switch await server.subscribe(fd, to: "chat:lobby", since: position) {
    /// case .recovered, .subscribed: break
    /// case .lost: server.push("reload", to: fd)
    /// case .refused(let cause): server.push("try again later: \(cause)", to: fd)
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - fd: the connection.
    ///   - topic: the name of a topic with a history.
    ///   - position: of the last message that the client has, from a message in an envelope
    ///     (``TopicSettings/isEnveloped``), from ``position(of:timeout:)`` or an earlier result; `nil`: it has none,
    ///     and gets messages from now on.
    ///   - timeout: after which the result is ``PushResult/unavailable``.
    public func subscribe(
        _ fd: ConnectionID, to topic: String, since position: TopicPosition?, timeout: Duration = .seconds(5)
    ) async -> TopicRecovery {
        await worker?.subscribe(fd, topic, since: position, timeout: timeout) ?? .refused(.closed)
    }

    /// The position of the last message of a topic with ``TopicSettings/history``. What a client is shown first can be
    /// read after this call: when it subscribes from this position on, it misses nothing.
    ///
    /// From every process that runs handlers, on any thread.
    ///
    /// - Returns: `nil` when the topic has no history, or the cluster cannot be asked within `timeout`.
    public func position(of topic: String, timeout: Duration = .seconds(5)) async -> TopicPosition? {
        await worker?.position(of: topic, timeout: timeout)
    }
}
