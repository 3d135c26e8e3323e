internal import Glibc

/// The settings of a server, read by ``Server/start()``. The defaults suit most servers.
public struct Settings: Sendable {
    /// The number of worker processes, which run the handlers, one callback at a time each. Default: the number of CPU
    /// cores.
    public var workerCount: Int {
        get { setWorkerCount ?? Settings.defaultWorkers }
        set { setWorkerCount = newValue }
    }
    private var setWorkerCount: Int?
    /// Whether ``workerCount`` is not the default.
    var workerCountIsSet: Bool { setWorkerCount != nil }
    /// The number of reactor threads of the master (process mode), which do all socket work. Default: as many as
    /// workers, at most the number of CPU cores and 8. After the start it is the number of them, 0 in other modes.
    public var reactorCount: Int?
    /// The rule by which connections are assigned to workers, in process mode. Default: in turn.
    public var dispatch = Dispatch.byConnection
    /// The number of task workers, which run the tasks that workers post, one at a time each; see
    /// ``Server/task(_:on:)-([UInt8],_)``. They need `onTask`. Default: 0, none.
    public var taskWorkerCount = 0
    /// The maximum size of a task, of a result, and of a message between processes, in bytes. Default: 8 MiB.
    public var maxTask = 8 << 20
    /// The number of requests, messages or packets after which a worker ends in order and is replaced, a remedy for
    /// code that leaks memory. In process mode no connection notices. Not in ``ServerMode/single``. Default: 0, no
    /// limit.
    public var maxRequests = 0
    /// A random number up to this is added to ``maxRequests``, so that workers do not restart simultaneously. Default:
    /// `nil`, half of ``maxRequests``, or none when that is 10 or less.
    public var maxRequestsGrace: Int?
    /// The number of tasks after which a task worker ends in order and is replaced. Default: 0, no limit.
    public var maxTasks = 0
    /// A random number up to this is added to ``maxTasks``. Default: `nil`, half of ``maxTasks``, or none when that is
    /// 10 or less.
    public var maxTasksGrace: Int?
    /// The time after which a worker whose handler does not return is reported in the log, with the name of the handler
    /// and the connection; also a worker or task worker that does not respond outside of handlers, and a task worker
    /// that was stopped by SIGSTOP during a task. Default: 30 seconds; `nil`: never.
    public var stuckAfter: Duration? = .seconds(30)
    /// The time after which a call of a handler that has blocked its process is logged when it has returned, with the
    /// name of the handler, the connection and the duration: for each kind of handler of a process at most one line in
    /// ten seconds. Time in which an asynchronous handler is suspended does not count, except that of tasks. Every call
    /// is timed then, which costs some 50 nanoseconds. Default: `nil`, never.
    public var slowHandlerAfter: Duration?
    /// Whether a worker that was reported as stuck is also killed, and so replaced. Default: false.
    public var killsStuck = false
    /// The time limit of a task. A task worker that exceeds it is killed, and the task fails. Default: `nil`, no limit.
    public var taskTimeout: Duration?
    /// The kind of process that a reload starts: ``Reload/fork`` or ``Reload/newProgram``. Default: `fork`.
    public var reload = Reload.fork
    /// The program file that ``Reload/newProgram`` starts. Default: `nil`, the path from which the server was started.
    /// Set it when the new program will have another path.
    public var program: String?
    /// The maximum number of open connections; further ones are closed when they are accepted. Default: 100,000.
    public var maxConnections = 100_000
    /// The maximum number of open connections of one remote address (IPv6 addresses that share their first 64 bits
    /// count as one); further ones are closed when they are accepted. Default: 0, no limit.
    public var maxConnectionsPerAddress = 0
    /// A WebSocket, or a connection of a `.tcp` port, that has sent nothing for this time is closed, with
    /// ``CloseReason/Cause/heartbeat``. Any received byte counts, also a pong; sent bytes do not. See also
    /// ``Server/protect(_:_:)->CommandResult``. Default: `nil`, no limit.
    public var heartbeatIdleTime: Duration?
    /// The interval at which connections are checked for ``heartbeatIdleTime``; a silent one may stay open for up to
    /// this much longer. Default: `nil`, each connection is checked when it is due. When only this is set,
    /// ``heartbeatIdleTime`` is twice as long.
    public var heartbeatCheckInterval: Duration?
    /// A WebSocket that has sent nothing for this time gets a ping. Default: `nil`, no pings.
    public var pingInterval: Duration?
    /// A WebSocket that has sent nothing for this time after a ping is closed, with ``CloseReason/Cause/heartbeat``.
    /// Default: `nil`, as long as ``pingInterval``.
    public var pongTimeout: Duration?
    /// The maximum size of a WebSocket message over all its fragments, in bytes; a larger one closes the connection
    /// with code 1009. Default: 1 MiB.
    public var maxMessage = 1 << 20
    /// The maximum size of a request line and header fields, in bytes; larger ones are answered with 431 or 414.
    /// Default: 65,535, the largest value.
    public var maxHead = 65_535
    /// The maximum size of a request body, in bytes; a larger one is answered with 413. Default: 8 MiB.
    public var maxBody = 8 << 20
    /// Call `onRequest` when the head of a request has arrived, and deliver the body in pieces: see
    /// ``Request/bodyPieces``. A body that arrived with the head is delivered at once. ``maxBody`` does not apply then,
    /// and ``bodyTimeout`` is the time between two pieces. Default: false, whole bodies only.
    public var streamRequestBodies = false
    /// The maximum size of a body that arrives in pieces, in bytes; a larger one is answered with 413. Default: `nil`,
    /// no limit.
    public var maxStreamedBody: Int?
    /// The directory of uploads that are stored without another one (`Request.Part.store(in:)`), on a file system with
    /// enough room. Default: `nil`, the one that TMPDIR names, else /tmp.
    public var uploadDirectory: String?
    /// The maximum size of the output queue of a connection, in bytes. Further output is refused (``PushResult/full``)
    /// until `onDrain` is called. Default: 8 MiB.
    public var maxQueue = 8 << 20
    /// The length of the output queue of a connection, in bytes, from which on the connection is not read, so that a
    /// client that does not read what it gets cannot cause more of it. Default: half of ``maxQueue``.
    public var highWatermark: Int?
    /// The length of the output queue, in bytes, at which the connection is read again and `onDrain` is called.
    /// Default: a quarter of ``highWatermark``.
    public var lowWatermark: Int?
    /// Whether connections are read also while their output queue is above the high watermark. Default: false.
    public var readsWhenFull = false
    /// The number of bytes that all connections of the server may hold together: output queues, messages, packets and
    /// requests that have not arrived completely, and large or queued messages between processes. Above it the
    /// connections with the most bytes are closed (``CloseReason/Cause/overflow``). Default: a quarter of the memory of
    /// the machine, or of the limit of the process's control group.
    public var memoryBudget: Int?
    /// Deliver the close frame of a client to `onMessage`, with ``Opcode/close`` and ``Frame/closeFrame``, before
    /// `onClose`. It is answered by itself, with its own code, unless the handler closes: by
    /// ``Server/close(_:code:reason:)->CommandResult``, or by pushing a close frame. Default: false.
    public var deliversCloseFrames = false
    /// Deliver the pings of clients to `onMessage`, with ``Opcode/ping``, in place of answering them: the handler sends
    /// a frame of ``Opcode/pong`` with the same payload. Default: false.
    public var deliversPings = false
    /// Deliver the pongs of clients to `onMessage`, with ``Opcode/pong``: answers to pings, those of ``pingInterval``
    /// included. Default: false.
    public var deliversPongs = false
    /// Compress WebSocket messages for clients that offer permessage-deflate. Default: `nil`, no compression.
    public var compression: Compression?
    /// Compress the bodies of HTTP responses for clients that accept it. Default: `nil`, no compression.
    public var compressResponses: ResponseCompression?
    /// Keep the request of each handshake for ``Connection/request``, until the WebSocket is closed. Default: false,
    /// which saves memory.
    public var keepsHandshakes = false
    /// Accepted subprotocols, in order of preference: the first one that a client offers is selected. A client that
    /// offers none of them is served without a subprotocol. Default: none.
    public var subprotocols: [String] = []
    /// Origins whose pages may open WebSockets, like "https://example.com" or "https://*.example.com"; others are
    /// answered with 403. Clients other than browsers send no origin and are not affected. Default: `nil`, all.
    public var allowedOrigins: [String]?
    /// The treatment of a connection with a full output queue when a message is published or broadcast. Default: it
    /// misses the message.
    public var slowReceivers = SlowReceiverPolicy.leaveOut
    /// The maximum number of topics in each process that owns sockets. Default: 100,000.
    public var maxTopics = 100_000
    /// The maximum number of topics that one connection may be subscribed to. Default: 256.
    public var maxSubscriptions = 256
    /// The time limit for the head of a request, from its first byte. Default: 10 seconds.
    public var headTimeout: Duration = .seconds(10)
    /// The time limit for the body of a request. Default: 60 seconds.
    public var bodyTimeout: Duration = .seconds(60)
    /// The time limit for a WebSocket message, or for a packet of a `.tcp` port with a framing, from its first byte. A
    /// client that exceeds it is closed, with ``CloseReason/Cause/timeout`` and code 1008. Time during which the server
    /// does not read from the client does not count. Default: 60 seconds.
    public var messageTimeout: Duration = .seconds(60)
    /// The time limit for a handler to begin its response. When it has passed, the client gets status 503, and a line
    /// is logged; see ``Response/limit(to:)``. Default: `nil`, no limit.
    public var requestTimeout: Duration?
    /// The maximum number of requests that the whole server has in progress, from their arrival to the end of their
    /// responses; a further one gets status 503 with `Retry-After`. Asynchronous handlers, responses in pieces and
    /// handshakes that are being decided count, open WebSockets do not. Two requests that arrive in the same moment for
    /// the last place may both be refused. Default: `nil`, no limit.
    public var maxConcurrentRequests: Int?
    /// The maximum number of requests that each worker has in progress, counted as for ``maxConcurrentRequests``.
    /// Further ones wait for their turn, in the order of their arrival. Default: `nil`, no limit.
    public var maxConcurrentRequestsPerWorker: Int?
    /// The maximum number of requests that wait in each worker because of ``maxConcurrentRequestsPerWorker``; a further
    /// one gets status 503. Waiting requests are in progress for ``maxConcurrentRequests``, and ``requestTimeout``
    /// limits their time. Default: 1,024.
    public var maxWaitingRequests = 1024
    /// Proxies whose forwarded fields are believed: addresses ("10.1.2.3", "::1"), blocks ("10.0.0.0/8", "fd00::/8"),
    /// and "unix" for all clients of Unix sockets. Requests of other clients are taken as they are. It decides about
    /// ``Request/clientAddress``, ``Request/scheme``, ``Request/host`` and ``Request/requestID``. Default: none.
    public var trustedProxies: [String] = []
    /// The fields by which ``trustedProxies`` report the client. They must set or extend exactly these: a proxy passes
    /// others on as the client has sent them. Default: `X-Forwarded-For`, `-Proto` and `-Host`.
    public var forwardedFields = ForwardedFields.xForwarded
    /// The field by which ``trustedProxies`` name a request, like "X-Request-Id"; see ``Request/requestID``. Default:
    /// `nil`, none.
    public var requestIDField: String?
    /// The time that a connection stays open between two requests. Default: 75 seconds.
    public var idleTimeout: Duration = .seconds(75)
    /// The time limit for the peer's half of a closing handshake. Default: 5 seconds.
    public var closeTimeout: Duration = .seconds(5)
    /// The time limit of a stop, of all processes together: closing handshakes, requests in progress, tasks. Whatever
    /// is left then is aborted within one more second. Also the time limit for each worker of a reload. Default: 10
    /// seconds.
    public var shutdownTimeout: Duration = .seconds(10)
    /// The time between the request to stop and the stop. Meanwhile probes of readiness fail, as
    /// ``RouteBuilder/health(alive:ready:)`` describes, and everything else continues, so that load balancers send new
    /// clients elsewhere before connections are refused and closed. ``shutdownTimeout`` begins afterwards. A second
    /// signal stops at once. Default: zero.
    public var drainDelay: Duration = .zero
    /// The time over which a stop closes WebSockets and connections of `.tcp` ports, each at a random moment, so that
    /// their clients do not connect elsewhere all at once. Until then they are served. It begins with the stop, after
    /// ``drainDelay``, and is at most half of ``shutdownTimeout``. In ``ServerMode/base`` a worker that is replaced
    /// does the same. Default: zero, they are closed at once.
    public var drainSpread: Duration = .zero
    /// The code with which a stop closes WebSockets: 1001 (going away), 1012 (the service restarts), 1013 (try again
    /// later), or a code of the application, 3000 to 4999. Default: 1001.
    public var shutdownCode: UInt16 = 1001
    /// The length of the listen queue; the system may allow fewer. Default: 512.
    public var backlog = 512
    /// The size of each ring in shared memory between two processes, in bytes: a power of two from 4,096. Default: 1
    /// MiB.
    public var ringSize = 1 << 20
    /// The time for which a busy process looks for more work before it sleeps. It saves a wake-up, which costs more,
    /// and is skipped on machines with one CPU. Zero: never. Default: 5 microseconds.
    public var spin: Duration = .microseconds(5)
    /// The lowest level that is logged. Default: notices, warnings and errors.
    public var logLevel = LogLevel.notice
    /// The format of the log's lines. Default: text.
    public var logFormat = LogFormat.text
    /// The log file. All processes append to it, one line at a time. SIGHUP to the master opens it again, after it was
    /// renamed. Default: `nil`, standard error.
    public var logFile: String?
    /// A file with the numbers of ``Server/stats()``, which the master rewrites once a second: "name: value" on each
    /// line, or JSON when its name ends in ".json". Default: `nil`, none.
    public var statsFile: String?
    /// The port for monitoring, on ``monitoringHost``: `/` is a page that shows the running server, the dashboard;
    /// `/metrics` reports the numbers of all processes to Prometheus, or as JSON with `?format=json`; `/healthz` and
    /// `/readyz` answer probes, as ``RouteBuilder/health(alive:ready:)`` describes. The master answers, whatever the
    /// workers do, and until the end of a stop. 0 lets the system choose; ``Server/monitoringPort`` is the one that it
    /// has chosen. Default: `nil`, no such port.
    public var monitoringPort: Int?
    /// The address of ``monitoringPort``, or "unix:" and a path, without a port. Requests that read are not
    /// authenticated there. Default: 127.0.0.1, for programs on this machine.
    public var monitoringHost = "127.0.0.1"
    /// The secret by which the dashboard of ``monitoringPort`` may reload the server and restart processes: 16 to 256
    /// visible ASCII characters. The page asks for it, or takes it from its address:
    /// `http://localhost:9464/#token=...`. Reading needs it only by a host name other than localhost. Default: `nil`,
    /// nobody may, and the page has no buttons for it.
    public var monitoringToken: String?
    /// The path of a Unix socket by which an operator watches and steers the running server: the program `swiftserver`,
    /// or HTTP with JSON (`curl --unix-socket`). The master answers, whatever the workers do. A file that a dead server
    /// has left there is replaced, and that of a running one is an error. Default: `nil`, none.
    public var controlSocket: String?
    /// The permissions of ``controlSocket``, which decide who may connect, and so who may stop the server. Default:
    /// 0o600, the user that has started the server.
    public var controlSocketPermissions: UInt32 = 0o600
    /// Run in the background. The process that was started waits until the server listens, or has failed, and exits
    /// with code 0, or with 1 and the cause on standard error; ``Server/start()`` continues, and returns, in another
    /// process. Its working directory is /, and its output goes to ``logFile``, or nowhere. Do not use it with systemd
    /// or in a container: they watch the process that they have started. Default: false.
    public var daemonize = false
    /// A file with the pid of the master, from the time it listens until its end. It is locked: a second server with
    /// the same file is refused. Default: `nil`, none.
    public var pidFile: String?
    /// The user that runs the handlers, by name or number; for servers that are started as root. The processes get the
    /// user's groups, and cannot switch back. Master and manager, with `onStart` and `onManagerStart`, stay root;
    /// reactors open files for responses as this user. Not in ``ServerMode/single``. Default: `nil`, the user that
    /// started the server.
    public var user: String?
    /// The group, by name or number. Default: `nil`, the primary group of ``user``.
    public var group: String?
    /// The root directory of the processes that run handlers, and of files for responses; it needs root. Default:
    /// `nil`, that of the system.
    public var chroot: String?
    /// Bind each reactor thread and each process that runs handlers to one CPU, round robin over those that the server
    /// may use. Threads that handlers start are bound, too. Default: false.
    public var cpuAffinity = false
    /// CPUs that ``cpuAffinity`` does not use. Default: none.
    public var cpuAffinityIgnore: [Int] = []

    /// Makes the default settings.
    public init() {}

    static var defaultWorkers: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
}
