internal import Glibc

/// Everything that can be set before ``Server/start()``. Each default is meant to be kept until there is a reason.
public struct Settings: Sendable {
    /// Worker processes, which run the handlers, one callback at a time each. Default: the number of CPU cores.
    public var workerCount: Int = defaultWorkers
    /// Reactor threads of the master (process mode), which do all socket work. Default: as many as workers, at most
    /// the number of CPU cores and 8.
    public var reactorCount: Int?
    /// Which worker gets a connection, in process mode. Default: they are dealt out in turn.
    public var dispatch = Dispatch.byConnection
    /// Task workers, which do the tasks that workers post, one at a time each; see ``Server/task(_:on:)-([UInt8],_)``.
    /// They need `onTask`. Default: 0, none.
    public var taskWorkerCount = 0
    /// Bytes of one task, of one result, and of one message between processes. Default: 8 MiB.
    public var maxTask = 8 << 20
    /// A worker that has served so many requests, messages or packets ends in an orderly way and is replaced, a remedy
    /// for code that loses memory. In process mode no connection notices. Default: 0, never.
    public var maxRequests = 0
    /// Up to so many more are added by chance, so that workers do not end at the same time. Default: `nil`, half of
    /// ``maxRequests``, or none when that is 10 or less.
    public var maxRequestsGrace: Int?
    /// The same for the tasks of a task worker. Default: 0, never.
    public var maxTasks = 0
    /// The same for the tasks of a task worker.
    public var maxTasksGrace: Int?
    /// A worker whose code has held its loop for so long without returning is reported in the log, by the name of the
    /// handler and the connection. Default: 30 seconds; `nil`: never.
    public var stuckAfter: Duration? = .seconds(30)
    /// Whether such a worker is also killed, and so replaced. Default: no.
    public var killsStuck = false
    /// A task that takes longer has its task worker killed, and so fails. Default: `nil`, as long as it likes.
    public var taskTimeout: Duration?
    /// What a reload starts: ``Reload/fork`` or ``Reload/newProgram``. Default: `fork`.
    public var reload = Reload.fork
    /// The program that ``Reload/newProgram`` starts. Default: `nil`, the file from which the server was started, or
    /// what has its name by then. Give a path here when the server was started by a name that will not be the new
    /// program's.
    public var program: String?
    /// How many connections there may be at once; further ones are closed when they arrive. Default: 100,000.
    public var maxConnections = 100_000
    /// How many connections one remote address may have at once (of IPv6 addresses those that share the first 64 bits
    /// are one); further ones are closed when they arrive. Default: 0, any number.
    public var maxConnectionsPerAddress = 0
    /// A WebSocket, or a connection of a `.tcp` port, from which nothing came for so long is closed, with
    /// ``CloseReason/Cause/heartbeat``. Any byte counts, also a pong; what is sent to it does not. See also
    /// ``Server/protect(_:_:)``. Default: `nil`, never.
    public var heartbeatIdleTime: Duration?
    /// How often connections are looked at for ``heartbeatIdleTime``; a silent one may live so much longer. Default:
    /// `nil`, each as soon as it is due. When only this is set, ``heartbeatIdleTime`` is twice as long.
    public var heartbeatCheckInterval: Duration?
    /// A WebSocket from which nothing came for so long gets a ping. Default: `nil`, none.
    public var pingInterval: Duration?
    /// A WebSocket from which nothing came for so long after a ping is closed, with ``CloseReason/Cause/heartbeat``.
    /// Default: `nil`, as long as ``pingInterval``.
    public var pongTimeout: Duration?
    /// Bytes of one WebSocket message, over all its fragments; a longer one ends the connection with code 1009.
    /// Default: 1 MiB.
    public var maxMessage = 1 << 20
    /// Bytes of a request's line and header fields; more is answered with 431 or 414. Default: 65,535, the most.
    public var maxHead = 65_535
    /// Bytes of a request's body; more is answered with 413. Default: 8 MiB.
    public var maxBody = 8 << 20
    /// Call `onRequest` when a request's head is there, and give it the body in pieces as they come: see
    /// ``Request/bodyPieces``. A body that came with the head is still given at once. ``maxBody`` does not apply then,
    /// and ``bodyTimeout`` is the time between two pieces. Default: false, whole bodies only.
    public var streamRequestBodies = false
    /// Bytes of a body that comes in pieces; more is answered with 413. Default: `nil`, any number.
    public var maxStreamedBody: Int?
    /// Bytes of output that may wait for one slow client. What would be more is refused
    /// (``PushResult/full``). Default: 8 MiB.
    public var maxQueue = 8 << 20
    /// Compress WebSocket messages for clients that offer permessage-deflate. Default: `nil`, no.
    public var compression: Compression?
    /// Keep the request of each WebSocket's handshake for ``Connection/request``, until the WebSocket is closed.
    /// Default: false, which saves the memory.
    public var keepsHandshakes = false
    /// Subprotocols that are accepted, in the order of preference: the first that a client offers is chosen. A client
    /// that offers none of them is served without. Default: none.
    public var subprotocols: [String] = []
    /// Origins whose pages may open WebSockets, like "https://example.com" or "https://*.example.com"; others are
    /// answered with 403. Clients that are no browsers send no origin and are not affected. Default: `nil`, all.
    public var allowedOrigins: [String]?
    /// What a connection whose output is full means for messages that are published or broadcast. Default: it goes
    /// without them.
    public var slowReceivers = SlowReceiverPolicy.leaveOut
    /// Topics at once, in each process that owns sockets. Default: 100,000.
    public var maxTopics = 100_000
    /// Topics that one connection may be subscribed to. Default: 256.
    public var maxSubscriptions = 256
    /// How long a client may take for the head of a request, from its first byte. Default: 10 seconds.
    public var headTimeout: Duration = .seconds(10)
    /// How long a client may take for the body of a request. Default: 60 seconds.
    public var bodyTimeout: Duration = .seconds(60)
    /// How long a connection is kept between two requests. Default: 75 seconds.
    public var idleTimeout: Duration = .seconds(75)
    /// How long the peer may take for its half of a closing handshake. Default: 5 seconds.
    public var closeTimeout: Duration = .seconds(5)
    /// How long a stop may take: closing handshakes, requests in progress. What is left then is cut off.
    /// Default: 10 seconds.
    public var shutdownTimeout: Duration = .seconds(10)
    /// The listen queue; the system may allow fewer. Default: 512.
    public var backlog = 512
    /// Bytes of each ring in shared memory between two processes: a power of two from 4,096. Default: 256 KiB.
    public var ringSize = 256 << 10
    /// How long a busy process looks for more work before it sleeps. It saves a wake-up, which costs more than that,
    /// and is skipped where there is one CPU only. Zero: never. Default: 5 microseconds.
    public var spin: Duration = .microseconds(5)
    /// How much the server says of itself. Default: notices, warnings and errors.
    public var logLevel = LogLevel.notice
    /// Where it says so: a file that all processes append to, one line at a time. SIGHUP to the master has it opened
    /// anew, after it was renamed. Default: `nil`, standard error.
    public var logFile: String?
    /// A file that has the numbers of ``Server/stats()``, written anew each second by the master: "name: value", one a
    /// line, or JSON when its name ends in ".json". Default: `nil`, none.
    public var statsFile: String?
    /// Go on in the background. The process that was started waits until the server listens, or cannot, and ends with
    /// exit code 0 or with 1 and the cause on standard error; ``Server/start()`` goes on, and returns, in another one.
    /// Its working directory is / and what it prints goes to ``logFile``, or nowhere. Not for systemd or a container,
    /// which want the process that they started. Default: no.
    public var daemonize = false
    /// A file that holds the pid of the master from when it listens until it ends, locked: a second server with the
    /// same file is refused. Default: `nil`, none.
    public var pidFile: String?
    /// The user as which handlers run, by name or number; for servers that are started as root. It gets the user's
    /// groups, and there is no way back. Master and manager, with `onStart` and `onManagerStart`, stay root; reactors
    /// open files for responses as this user. Not in ``ServerMode/single``. Default: `nil`, who started the server.
    public var user: String?
    /// The group, by name or number. Default: `nil`, the first group of ``user``.
    public var group: String?
    /// The root directory of the processes that run handlers, and of files for responses; it needs root. Default:
    /// `nil`, that of the system.
    public var chroot: String?
    /// Bind each reactor thread and each process that runs handlers to one CPU, round robin over those that the server
    /// may use. Threads that handlers start stay on it, too. Default: no.
    public var cpuAffinity = false
    /// CPUs that ``cpuAffinity`` leaves to others. Default: none.
    public var cpuAffinityIgnore: [Int] = []

    /// The defaults.
    public init() {}

    static var defaultWorkers: Int { max(1, Int(sysconf(Int32(_SC_NPROCESSORS_ONLN)))) }
}
