/// What a client asks for in the protocol of topics; see ``WebSocket/serveTopics(allows:)``.
public enum TopicRequest: Sendable, Hashable {
    /// To receive the messages of a topic.
    case subscribe(String)
    /// To publish text to a topic.
    case publish(String, to: String)
}

extension WebSocket {
    /// The subprotocol of ``serveTopics(allows:)``.
    public static let topicProtocol = "swiftserver.topics"

    /// Serves clients that subscribe to topics, and come back to them: `Clients/browser/swiftserver-topics.js` is one
    /// for browsers. Returns when the client has left.
    ///
    /// ```swift
    /// server.cluster.topics["chat:*"] = TopicSettings(history: 100, enveloped: true)
    /// server.handle("/topics") { request, ws in
    ///     try await ws.serveTopics { asked in
    ///         switch asked {
    ///         case .subscribe(let topic): topic.hasPrefix("chat:")
    ///         case .publish(let text, let topic): topic.hasPrefix("chat:") && text.utf8.count < 1000
    ///         }
    ///     }
    /// }
    /// ```
    ///
    /// Accepts the handshake unless that has happened, and answers one without the subprotocol
    /// ``topicProtocol`` with status 400. Topics must be enveloped (``TopicSettings/isEnveloped``). Clients of topics
    /// with a history get what they have missed. When the cluster cannot be asked, and when the client is too slow for
    /// what it has missed, the connection is closed with code 1013, and the client comes back later.
    ///
    /// - Parameter allows: decides about each request. What it throws closes the connection with code 1011.
    @MainActor public func serveTopics(
        allows: @MainActor (TopicRequest) async throws -> Bool
    ) async throws {
        if undecided != nil {
            guard request.isHandshake, request.subprotocols.contains(WebSocket.topicProtocol) else {
                status(400)
                end("a WebSocket with the subprotocol \(WebSocket.topicProtocol) is expected\n")
                return
            }
            try await upgrade(subprotocol: WebSocket.topicProtocol)
        }
        while let frame = try await recv() {
            guard frame.opcode == .text, let message = TopicMessage(frame.bytes) else {
                return close(code: 1008, reason: "malformed message")
            }
            switch message.kind {
            case .ping: try await push(TopicMessage.pong)
            case .unsubscribe: unsubscribe(from: message.topic)
            case .publish: try await publish(message, allows)
            case .subscribe:
                guard try await subscribe(message, allows) else { return close(code: 1013, reason: "try again later") }
            }
        }
    }

    @MainActor private func publish(
        _ message: TopicMessage, _ allows: @MainActor (TopicRequest) async throws -> Bool
    ) async throws {
        let text = String(decoding: message.data, as: UTF8.self)
        guard try await allows(.publish(text, to: message.topic)) else {
            return try await push(message.refused("forbidden"))
        }
        let result = unsafe message.data.withUnsafeBytes {
            unsafe worker.publish(.topic(message.topic), $0, .text, except: nil)
        }
        try await push(result.isAccepted ? message.published : message.refused("\(result)"))
    }

    /// False: the client must try again later, on another connection.
    @MainActor private func subscribe(
        _ message: TopicMessage, _ allows: @MainActor (TopicRequest) async throws -> Bool
    ) async throws -> Bool {
        guard try await allows(.subscribe(message.topic)) else {
            try await push(message.refused("forbidden"))
            return true
        }
        let traits = worker.link.traits(of: message.topic)
        guard traits.isEnveloped else {
            try await push(message.refused("notEnveloped"))
            return true
        }
        guard traits.hasHistory else {
            let result = subscribe(to: message.topic)
            try await push(result.isAccepted ? message.subscribed : message.refused("\(result)"))
            return true
        }
        switch await subscribe(to: message.topic, since: message.position) {
        case .subscribed(let position): try await push(message.subscribed(position, recovery: "none"))
        case .recovered(let position, let count):
            try await push(message.subscribed(position, recovery: "complete", count: count))
        case .lost(let position): try await push(message.subscribed(position, recovery: "lost"))
        case .refused(.unavailable), .refused(.full): return false
        case .refused(let cause): try await push(message.refused("\(cause)"))
        }
        return true
    }
}
