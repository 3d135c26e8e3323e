internal import CReactor
internal import Glibc

/// A part of a client that ends with its ``ClientLoop``: a connection, or the wait before the next one.
protocol ClientLoopMember: AnyObject {
    /// The loop ends, and this part of a client with it: tasks that wait for it get an error.
    func loopEnds()
}

/// The loop of asynchronous clients: that of the process if it serves, otherwise one on a thread of its own.
///
/// A server's loop may end before its process does. Everything that waits on it has to be a member then: nothing else
/// wakes it.
@safe final class ClientLoop: @unchecked Sendable {
    // `@unchecked`: what changes is used on the loop's thread only.
    let loop: EventLoop
    let timers: Timers
    private var clients: OpaquePointer?
    private var members: [ObjectIdentifier: any ClientLoopMember] = [:]
    /// The connections that WebSockets share.
    private var carriers: [ClientCarrier.Key: [ClientCarrier]] = [:]
    /// Whether the loop has ended. On the loop's thread, or on that of the main actor, which then runs its jobs.
    private var hasEnded = false

    /// The loops of this process: that of its server, and that of the clients' thread with the id of the process that
    /// started it, since a fork has no threads.
    private struct Known {
        var server: ClientLoop?
        var thread: ClientLoop?
        var process: Int32 = 0
    }
    private static let known = Lock(Known())

    init(_ loop: EventLoop) {
        self.loop = loop
        timers = Timers(loop: loop)
    }

    /// The loop for a new client.
    static func current() throws(ClientError) -> ClientLoop {
        let result: Result<ClientLoop, ClientError> = known.withLock { known in
            if let server = EventLoop.ofServer {
                if known.server?.loop !== server { known.server = ClientLoop(server) }
                return .success(known.server!)
            }
            known.server = nil
            if let thread = known.thread, known.process == getpid() { return .success(thread) }
            do throws(ClientError) {
                known.thread = ClientLoop(try ClientThread.start())
                known.process = getpid()
                return .success(known.thread!)
            } catch {
                return .failure(error)
            }
        }
        return try result.get()
    }

    /// Runs `work` on the loop soon. Any thread.
    func post(_ work: @escaping @Sendable () -> Void) { loop.post(work) }

    /// Connects; `link` gets the events. On the loop's thread.
    func connect(_ options: ClientOptions, timeout: Duration, _ link: ClientLink) throws(ClientError) {
        add(link)
        do throws(ClientError) {
            try link.connect(options, timeout: timeout)
        } catch {
            remove(link)
            throw error
        }
    }

    /// The connection for a further WebSocket, which may be opening.
    func carrier(
        _ key: ClientCarrier.Key, _ tls: ClientTLSContext?, name: String?
    ) throws(ClientError) -> ClientCarrier {
        if let carrier = carriers[key]?.first(where: \.isUseful) { return carrier }
        let carrier = ClientCarrier(key, self)
        try carrier.connect(tls, name: name)
        carriers[key, default: []].append(carrier)
        return carrier
    }

    func removeCarrier(_ carrier: ClientCarrier, _ key: ClientCarrier.Key) {
        carriers[key]?.removeAll { $0 === carrier }
        if carriers[key]?.isEmpty == true { carriers[key] = nil }
    }

    /// Throws when the loop has ended: nothing can be started on it. On the loop's thread, or on the main actor's
    /// afterwards.
    func checkRunning() throws(ClientError) {
        if hasEnded || !loop.executor.isHere { throw ClientLoop.ended }
    }

    /// The error of everything that ends with the loop.
    static var ended: ClientError {
        ClientError(.closed, "the event loop of the client has ended, since the server in this process has stopped")
    }

    /// The clients of the C core. On the loop's thread.
    func open() throws(ClientError) -> OpaquePointer {
        try checkRunning()
        if unsafe clients == nil {
            var made: OpaquePointer?
            let result = unsafe cre_clients_create(loop.raw, &made)
            guard result == 0 else { throw ClientError("cannot make a client", result) }
            unsafe clients = made
            loop.whenEnding { [weak self] in self?.close() }
        }
        return unsafe clients!
    }

    /// Holds a member until it is removed. A loop that has members has been opened.
    func add(_ member: some ClientLoopMember) { members[ObjectIdentifier(member)] = member }

    func remove(_ member: some ClientLoopMember) { members[ObjectIdentifier(member)] = nil }

    /// The loop ends: nothing is delivered any more, and a timer that is started later does not fire.
    private func close() {
        hasEnded = true
        let all = members.values
        members = [:]
        carriers = [:]
        for member in all { member.loopEnds() }
        unsafe cre_clients_destroy(clients)
        unsafe clients = nil
        timers.clearAll()
        timers.detach()
    }
}

/// The thread of asynchronous clients in a program without a server. It runs as long as the process.
private enum ClientThread {
    @safe private final class Start: @unchecked Sendable {
        // `@unchecked`: written by the thread before it posts, read after the wait.
        let done = UnsafeMutablePointer<sem_t>.allocate(capacity: 1)
        var result: Result<EventLoop, ServerError>?
        init() { unsafe sem_init(done, 0, 0) }
        deinit { unsafe done.deallocate() }
    }

    static func start() throws(ClientError) -> EventLoop {
        let start = Start()
        var thread: pthread_t = 0
        let context = unsafe Unmanaged.passRetained(start)
        let result = unsafe pthread_create(
            &thread, nil,
            { context in
                unsafe ClientThread.run(Unmanaged<Start>.fromOpaque(context!).takeRetainedValue())
                return nil
            }, context.toOpaque())
        guard result == 0 else {
            unsafe context.release()
            throw ClientError("cannot start a thread", -result)
        }
        pthread_detach(thread)
        while unsafe sem_wait(start.done) != 0 {}
        do {
            return try start.result!.get()
        } catch {
            throw ClientError(.system, error.message)
        }
    }

    private static func run(_ start: Start) {
        do {
            let loop = try EventLoop()
            start.result = .success(loop)
            unsafe sem_post(start.done)
            loop.run()
        } catch {
            start.result = .failure(error)
            unsafe sem_post(start.done)
        }
    }
}
