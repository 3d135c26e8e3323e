/// An event for which a server has a handler: its name without "on", like ``message`` for `onMessage`.
public struct ServerEvent: Sendable, Hashable, CaseIterable, CustomStringConvertible {
    /// The events, by their names.
    enum Kind: String, CaseIterable {
        case start, beforeShutdown, shutdown, managerStart, managerStop, beforeReload, afterReload
        case workerStart, workerExit, workerStop, workerError, pipeMessage, clusterState, join, leave
        case task, finish, taskError
        case handshake, open, message, request, connect, receive, packet, drain, close
    }

    let kind: Kind

    init(_ kind: Kind) { self.kind = kind }

    /// The event of this name, in any letter case, with or without "on"; `nil` when there is none.
    public init?(_ name: String) {
        let name = name.lowercased()
        func find(_ name: Substring) -> Kind? { Kind.allCases.first { $0.rawValue.lowercased() == name } }
        guard let kind = find(name[...]) ?? (name.hasPrefix("on") ? find(name.dropFirst(2)) : nil) else { return nil }
        self.kind = kind
    }

    /// The name, like "workerStart".
    public var description: String { kind.rawValue }

    /// All events.
    public static var allCases: [ServerEvent] { Kind.allCases.map { ServerEvent($0) } }

    /// `onStart`: the server listens. In the master.
    public static let start = ServerEvent(.start)
    /// `onBeforeShutdown`: a stop was requested. In the master.
    public static let beforeShutdown = ServerEvent(.beforeShutdown)
    /// `onShutdown`: the server has ended. In the master.
    public static let shutdown = ServerEvent(.shutdown)
    /// `onManagerStart`: the manager is about to start the workers.
    public static let managerStart = ServerEvent(.managerStart)
    /// `onManagerStop`: the last worker has ended. In the manager.
    public static let managerStop = ServerEvent(.managerStop)
    /// `onBeforeReload`: a reload begins. In the manager.
    public static let beforeReload = ServerEvent(.beforeReload)
    /// `onAfterReload`: a reload has ended. In the manager.
    public static let afterReload = ServerEvent(.afterReload)
    /// `onWorkerStart`: a worker or task worker starts.
    public static let workerStart = ServerEvent(.workerStart)
    /// `onWorkerExit`: a worker must end and has work in progress.
    public static let workerExit = ServerEvent(.workerExit)
    /// `onWorkerStop`: a worker ends in order.
    public static let workerStop = ServerEvent(.workerStop)
    /// `onWorkerError`: a process of the server has failed. In the manager.
    public static let workerError = ServerEvent(.workerError)
    /// `onPipeMessage`: another process has sent a message.
    public static let pipeMessage = ServerEvent(.pipeMessage)
    /// `onClusterState`: the connection with the cluster has changed. In the gateway.
    public static let clusterState = ServerEvent(.clusterState)
    /// `onJoin`: a topic has a new member in the cluster.
    public static let join = ServerEvent(.join)
    /// `onLeave`: a member has left a topic in the cluster.
    public static let leave = ServerEvent(.leave)
    /// `onTask`: a task was posted. In a task worker.
    public static let task = ServerEvent(.task)
    /// `onFinish`: a task has a result.
    public static let finish = ServerEvent(.finish)
    /// `onTaskError`: a task has failed.
    public static let taskError = ServerEvent(.taskError)
    /// `onHandshake`: a WebSocket handshake was received, to be accepted or refused.
    public static let handshake = ServerEvent(.handshake)
    /// `onOpen`: the handshake of a WebSocket is complete.
    public static let open = ServerEvent(.open)
    /// `onMessage`: a WebSocket message was received.
    public static let message = ServerEvent(.message)
    /// `onRequest`: an HTTP request was received.
    public static let request = ServerEvent(.request)
    /// `onConnect`: a connection was accepted on a `.tcp` port.
    public static let connect = ServerEvent(.connect)
    /// `onReceive`: bytes were received on a `.tcp` port.
    public static let receive = ServerEvent(.receive)
    /// `onPacket`: a datagram was received on a `.udp` port.
    public static let packet = ServerEvent(.packet)
    /// `onDrain`: the output queue of a connection has drained.
    public static let drain = ServerEvent(.drain)
    /// `onClose`: a connection is gone.
    public static let close = ServerEvent(.close)
}

// MARK: - Texts and rules

extension ServerEvent.Kind {
    /// The name of the method that registers a handler.
    var handlerName: String { "on\(rawValue.prefix(1).uppercased())\(rawValue.dropFirst())" }

    /// The protocols whose ports have the event; `nil` for one that belongs to no port.
    var protocols: [PortProtocol]? {
        switch self {
        case .handshake, .open, .message: [.webSocket]
        case .request: [.http, .webSocket]
        case .connect, .receive: [.tcp]
        case .packet: [.udp]
        case .drain, .close: [.webSocket, .tcp]
        default: nil
        }
    }

    /// A closure that handles the event.
    var form: String {
        switch self {
        case .start, .beforeShutdown, .shutdown, .managerStart, .managerStop, .beforeReload, .afterReload:
            "{ server in }"
        case .workerStart, .workerExit, .workerStop: "{ (server, id: Int) in }"
        case .workerError: "{ (server, failure: WorkerFailure) in }"
        case .clusterState: "{ (server, state: ClusterState) in }"
        case .join, .leave: "{ (server, topic: String, member: TopicMember) in }"
        case .pipeMessage: "{ (server, sender: Int, bytes: [UInt8]) in }"
        case .task: "{ (server, task: ServerTask) in }"
        case .finish: "{ (server, id: TaskID, result: [UInt8]) in }"
        case .taskError: "{ (server, id: TaskID, error: TaskError) in }"
        case .handshake: "{ (request: Request, handshake: Handshake) in }"
        case .open: "{ (server, request: Request) in }"
        case .message: "{ (server, frame: Frame) in }"
        case .request: "{ (request: Request, response: Response) in }"
        case .connect, .drain: "{ (server, fd: ConnectionID) in }"
        case .receive: "{ (server, fd: ConnectionID, bytes: [UInt8]) in }"
        case .packet: "{ (server, bytes: [UInt8], sender: SocketAddress) in }"
        case .close: "{ (server, fd: ConnectionID, reason: CloseReason) in }"
        }
    }
}
