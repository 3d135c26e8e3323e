/// The limits of requests in progress in a worker: those of all workers together, and its own.
///
/// A request is in progress from its arrival in the worker to the end of its response, whatever its handler does
/// meanwhile. A handshake is one until it is decided; the WebSocket that it opens is none. What exceeds the limit of
/// the worker waits for its turn; what exceeds that of the server, or finds the queue full, gets status 503.
@safe final class ConcurrencyLimit: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    typealias Start = (WorkerContext, Request) -> Void

    /// A request that waits for its turn.
    private final class Waiter {
        let request: Request
        let start: Start
        /// Ends the wait with status 503.
        var deadline: TimerID?

        init(_ request: Request, _ start: @escaping Start) {
            self.request = request
            self.start = start
        }
    }

    private let ofServer: Int
    private let ofWorker: Int
    private let mostWaiting: Int
    private let worker: WorkerContext
    private let node: Int
    /// The requests whose handler was called. A response may end while its handler is being called.
    @safe @exclusivity(unchecked) private var running: Set<RequestID> = []
    @safe @exclusivity(unchecked) private var waiting = TicketQueue<Waiter>()
    private var isStartPosted = false
    private var lastPurge: UInt32 = 0
    private var lastLine: UInt32?
    private var refusedSinceLine = 0

    /// The time between two lines in the log, and between two searches for waiting clients that have left.
    private static let lineInterval: UInt32 = 10_000
    private static let purgeInterval: UInt32 = 1_000

    /// The limits of a worker; `nil` when there are none.
    init?(_ settings: Settings, _ worker: WorkerContext, node: Int) {
        guard settings.maxConcurrentRequests != nil || settings.maxConcurrentRequestsPerWorker != nil else {
            return nil
        }
        ofServer = settings.maxConcurrentRequests ?? .max
        ofWorker = settings.maxConcurrentRequestsPerWorker ?? .max
        mostWaiting = settings.maxWaitingRequests
        self.worker = worker
        self.node = node
    }

    /// These handlers, whose requests and handshakes are limited.
    func surround(_ handlers: ConnectionHandlers) -> ConnectionHandlers {
        var limited = handlers
        if let request = handlers.request {
            limited.request = RequestHandler { [self] in receive($1) { request($0, $1) } }
        }
        if let handshake = handlers.handshake {
            limited.handshake = HandshakeHandler(
                function: handshake.function,
                decide: { [self] _, request, timeLimit in receive(request) { handshake.decide($0, $1, timeLimit) } },
                timeLimit: handshake.timeLimit)
        }
        return limited
    }

    /// Publishes the requests of this worker: when it opens and closes, and at each change.
    func publish() {
        worker.bus.publish(requests: running.count + waiting.count, waiting: waiting.count, node: node)
    }

    // MARK: Arrival

    private func receive(_ request: Request, _ start: @escaping Start) {
        if ofServer < .max {
            // Published before the sum is read: two workers cannot both take the last place.
            worker.bus.publish(requests: running.count + waiting.count + 1, waiting: waiting.count, node: node)
            let count = worker.bus.requestsInProgress
            if count > ofServer {
                return refuse(request, "\(count - 1) requests are in progress (maxConcurrentRequests)")
            }
        }
        if running.count < ofWorker, waiting.isEmpty {
            running.insert(request.id)
            publish()
            return start(worker, request)
        }
        if waiting.count >= mostWaiting { purge() }
        guard waiting.count < mostWaiting else {
            return refuse(
                request,
                "\(running.count) requests of this worker are in progress (maxConcurrentRequestsPerWorker)"
                    + (mostWaiting > 0 ? ", and \(waiting.count) wait (maxWaitingRequests)" : ""))
        }
        wait(request, start)
    }

    private func refuse(_ request: Request, _ cause: String) {
        publish()
        worker.bus.countRefusedRequest(node: node)
        MainActor.assumeIsolated { sendRefusal(request) }
        refusedSinceLine += 1
        let now = worker.loop.milliseconds
        if let lastLine, now &- lastLine < ConcurrencyLimit.lineInterval { return }
        Log.warning(
            """
            \(worker.name) has refused \(refusedSinceLine) request\(refusedSinceLine == 1 ? "" : "s") with status 503 \
            since the last such line: \(cause)
            """)
        lastLine = now
        refusedSinceLine = 0
    }

    @MainActor private func sendRefusal(_ request: Request) {
        let response = Response(to: request.id, worker: worker)
        response.status(503)
        response.header("Retry-After", "1")
        response.header("Content-Type", "text/plain; charset=utf-8")
        response.end("503 Service Unavailable\n")
    }

    // MARK: Waiting

    private func wait(_ request: Request, _ start: @escaping Start) {
        let waiter = Waiter(request, start)
        let ticket = waiting.append(waiter)
        publish()
        // A worker that ends waits for them.
        worker.requests.hold()
        guard let timeout = worker.requestTimeout else { return }
        waiter.deadline = worker.timers.start(after: timeout, every: nil, .deadline) { [self, unowned waiter] _ in
            waiter.deadline = nil
            guard let waiter = waiting.remove(ticket) else { return }
            refuse(waiter.request, "a request has waited for \(timeout) (requestTimeout)")
            worker.requests.release()
        }
    }

    /// Removes the requests of clients that have left.
    private func purge() {
        let now = worker.loop.milliseconds
        guard now &- lastPurge >= ConcurrencyLimit.purgeInterval else { return }
        lastPurge = now
        let gone = waiting.removeAll { !worker.bus.exists($0.request.fd) }
        guard !gone.isEmpty else { return }
        for waiter in gone {
            if let deadline = waiter.deadline { worker.timers.clear(deadline) }
            worker.requests.release()
        }
        publish()
    }

    /// A response has ended.
    func answered(_ request: RequestID) {
        guard running.remove(request) != nil else { return }
        publish()
        guard !waiting.isEmpty, !isStartPosted else { return }
        // Not now: this is called by a handler, in which no other one may run.
        isStartPosted = true
        worker.loop.post { [self] in startWaiting() }
    }

    private func startWaiting() {
        isStartPosted = false
        while worker.isOpen, running.count < ofWorker, let waiter = waiting.popFirst() {
            if let deadline = waiter.deadline { worker.timers.clear(deadline) }
            if worker.bus.exists(waiter.request.fd) {
                running.insert(waiter.request.id)
                publish()
                waiter.start(worker, waiter.request)
            } else {
                publish()
            }
            worker.requests.release()
        }
    }

    /// The worker closes its connections: nothing is started any more.
    func end() {
        running = []
        waiting.removeAll()
        publish()
    }
}
