internal import CReactor
internal import CReactorInternal

/// The commands of ``Settings/controlSocket``: HTTP requests with JSON (docs/control.md).
///
/// The master answers from shared memory and gives commands without waiting for another process, so each answer takes
/// about a millisecond, whatever the workers do.
struct ControlCommands {
    typealias Answer = AnsweringPort.Answer

    /// A port of the server, as it is bound.
    struct Port {
        /// "127.0.0.1:9501", or "unix:" and a path.
        let address: String
        let type: PortProtocol
        let isSecure: Bool
        let index: Int
    }

    /// The commands to connections, which leave by the mailbox of the process.
    struct ConnectionCommands {
        /// Publishes text to a topic, or with `nil` to all open WebSockets.
        let publish: (_ text: String, _ topic: String?) -> PushResult
        let close: (_ fd: ConnectionID, _ code: UInt16, _ reason: String) -> CommandResult
        /// Asks the processes that own sockets for their topics; `done` gets the answers by node, at once or later.
        /// Returns false, without a call, when that is impossible now.
        let topics: (_ filter: String, _ done: @escaping ([Int: TopicList]) -> Void) -> Bool
    }

    /// The largest body of a request.
    static let maxBody: UInt32 = 1 << 20

    let monitor: Monitor
    let server: ConnectionInfo.Server
    let ports: [Port]
    let pid: Int32
    let configuredLevel: LogLevel
    /// Where requests come from, for the log.
    let source: String
    let connections: ConnectionCommands
    let started = ContinuousClock.now
    /// Differs from that of another server with the same pid.
    let identity = UInt32.random(in: .min ... .max)

    init(
        _ monitor: Monitor, _ server: ConnectionInfo.Server, _ ports: [Port], pid: Int32, logLevel: LogLevel,
        source: String, _ connections: ConnectionCommands
    ) {
        self.monitor = monitor
        self.server = server
        self.ports = ports
        self.pid = pid
        configuredLevel = logLevel
        self.source = source
        self.connections = connections
    }

    // MARK: Dispatch

    /// The answer to a request that cannot be carried out.
    struct Refusal: Error {
        let status: Int
        let message: String

        init(_ message: String) { self.init(400, message) }

        init(_ status: Int, _ message: String) {
            self.status = status
            self.message = message
        }
    }

    /// Answers a request, at once or later.
    func answer(_ request: Request, _ send: @escaping (Answer) -> Void) {
        let known = commands.filter { $0.path == request.path }
        guard let command = known.first(where: { $0.method == request.method }) else {
            guard !known.isEmpty else {
                let paths = Set(commands.map(\.path)).sorted().joined(separator: ", ")
                return send(refused(Refusal(404, "not found: the control socket has \(paths)")))
            }
            var answer = refused(Refusal(405, "method not allowed: \(request.path) has \(known[0].method)"))
            answer.allow = known.map(\.method).joined(separator: ", ")
            return send(answer)
        }
        func json(_ status: Int, _ body: JSONText) -> Answer {
            Answer(status: status, type: "application/json", body: body.text + "\n")
        }
        do throws(Refusal) {
            switch command.run {
            case .now(let run):
                let (status, body) = try run(request)
                send(json(status, body))
            case .later(let run): try run(request) { send(json(200, $0)) }
            }
        } catch {
            send(refused(error))
        }
    }

    func refused(_ refusal: Refusal) -> Answer {
        let body = JSONText(["error": JSONText(refusal.message)])
        return Answer(status: refusal.status, type: "application/json", body: body.text + "\n")
    }

    private enum Run {
        case now((Request) throws(Refusal) -> (status: Int, body: JSONText))
        /// Gives the body of its answer to a function, unless it throws.
        case later((Request, @escaping (JSONText) -> Void) throws(Refusal) -> Void)
    }

    private var commands: [(method: String, path: String, run: Run)] {
        [
            ("GET", "/status", .now({ _ throws(Refusal) in (200, status) })), ("GET", "/connections", .now(list)),
            ("POST", "/connections/close", .now(close)), ("GET", "/topics", .later(topics)),
            ("POST", "/publish", .now(publish)), ("POST", "/reload", .now(reload)), ("POST", "/stop", .now(stop)),
            ("PUT", "/log-level", .now(setLogLevel)),
        ]
    }

    /// The members of the body, an object; a member that is not in `known` is refused. Without a body there are none.
    func members(_ request: Request, _ known: [String]) throws(Refusal) -> [String: JSONValue] {
        let body = request.body
        if body.isEmpty { return [:] }
        guard case .object(let members)? = JSONValue(body) else { throw Refusal("the body must be a JSON object") }
        if let other = members.keys.sorted().first(where: { !known.contains($0) }) {
            let names = known.joined(separator: ", ")
            throw Refusal("unknown member \"\(other)\" in the body: \(known.isEmpty ? "none is expected" : names)")
        }
        return members
    }

    // MARK: The server

    func reload(_ request: Request) throws(Refusal) -> (Int, JSONText) {
        let members = try members(request, ["onlyTaskWorkers"])
        guard members["onlyTaskWorkers"].map({ $0.bool != nil }) ?? true else {
            throw Refusal("onlyTaskWorkers must be true or false")
        }
        guard monitor.mode != .single else {
            throw Refusal(409, "a reload needs a mode with worker processes, and the server is in single mode")
        }
        guard !monitor.isStopping else { throw Refusal(409, "the server is stopping") }
        let onlyTasks = members["onlyTaskWorkers"]?.bool ?? false
        Log.notice("a reload was requested by \(source)")
        (onlyTasks ? monitor.flags.reloadTaskWorkers : monitor.flags.reload).raise()
        return (202, JSONText(["result": JSONText("requested"), "begun": JSONText(monitor.reloadsBegun)]))
    }

    private func stop(_ request: Request) throws(Refusal) -> (Int, JSONText) {
        _ = try members(request, [])
        if !monitor.isStopping {
            Log.notice("a stop was requested by \(source)")
            monitor.flags.shutdown.raise()
        }
        return (202, JSONText(["result": JSONText("requested")]))
    }

    private func setLogLevel(_ request: Request) throws(Refusal) -> (Int, JSONText) {
        let names = LogLevel.allCases.map { "\($0)" }.joined(separator: ", ")
        guard let name = try members(request, ["level"])["level"]?.string, let level = LogLevel(name: name) else {
            throw Refusal("level must be one of \(names)")
        }
        let before = logLevel
        Log.notice("the log level is changed from \(before) to \(level) by \(source)")
        monitor.bus.logLevel = level
        return (200, JSONText(["level": JSONText("\(level)"), "before": JSONText("\(before)")]))
    }

    var logLevel: LogLevel { monitor.bus.logLevel ?? configuredLevel }

    // MARK: Messages

    private func publish(_ request: Request) throws(Refusal) -> (Int, JSONText) {
        let members = try members(request, ["topic", "text"])
        guard let text = members["text"]?.string else { throw Refusal("text must be the message to publish") }
        let topic = members["topic"]
        guard topic == nil || topic == .null || topic?.string != nil else {
            throw Refusal("topic must be text; without it all open WebSockets get the message")
        }
        let result = connections.publish(text, topic?.string)
        guard result.isAccepted else {
            switch result {
            case .full: throw Refusal(503, "a process has no room for the message now")
            case .closed: throw Refusal(503, "the server is starting or stopping")
            default: throw Refusal("cannot publish: the topic or the message has an invalid length")
            }
        }
        return (202, JSONText(["result": JSONText("\(result)")]))
    }
}
