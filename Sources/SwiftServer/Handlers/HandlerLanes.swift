internal import CReactor

/// Keeps the events of each connection in order when its handlers are asynchronous.
///
/// A handler that returns without suspending needs no bookkeeping. While a handler is suspended, further events of its
/// connection are queued; when the queue is long, reading from that connection pauses until most of it was served.
/// Requests are not queued behind each other: the core delivers together only those that may overlap, and sorts the
/// responses.
@safe final class HandlerLanes: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    typealias Work = HandlerRunners.Work

    private struct Lane {
        var queue: [Item] = []
        var next = 0
        var bytes = 0
        var count: Int { queue.count - next }
        var isPaused = false

        mutating func takeFirst() -> Item? {
            guard next < queue.count else { return nil }
            defer {
                next += 1
                if next == queue.count {
                    queue.removeAll(keepingCapacity: true)
                    next = 0
                } else if next == HandlerLanes.pauseAt {
                    queue.removeFirst(next)
                    next = 0
                }
            }
            bytes -= queue[next].bytes
            return queue[next]
        }
    }

    /// The handler of an event, `bytes` of memory that it needs meanwhile, and the ticket of its event.
    private struct Item {
        let event: ServerEvent.Kind
        let work: Work
        let bytes: Int
        let ticket: UInt32
    }

    static let pauseAt = 64
    static let pauseAtBytes = 256 << 10
    /// The number of suspended request handlers that one connection may have. The core limits requests in progress, but
    /// does not count a handler that is suspended after it has answered.
    static let overlapping = Int(CRE_MAX_PIPELINED)

    // One thread, and never two accesses at once: events that a handler causes while a lane changes are queued there.
    @safe @exclusivity(unchecked) private var lanes: [ConnectionID: Lane] = [:]
    /// The number of suspended request handlers by connection.
    @safe @exclusivity(unchecked) private var requests: [ConnectionID: Int] = [:]
    let runners: HandlerRunners
    /// Pauses (true) or resumes reading from a connection.
    private let pause: (ConnectionID, Bool) -> Void
    /// Keeps the event that is being delivered for a successor of this process, and returns a ticket.
    private let deferEvent: () -> UInt32
    /// Drops the event of a ticket.
    private let drop: (UInt32) -> Void

    init(
        runners: HandlerRunners, pause: @escaping (ConnectionID, Bool) -> Void,
        deferEvent: @escaping () -> UInt32 = { 0 }, drop: @escaping (UInt32) -> Void = { _ in }
    ) {
        self.runners = runners
        self.pause = pause
        self.deferEvent = deferEvent
        self.drop = drop
    }

    /// Drops the queued handlers, when nothing may be done for a connection any more.
    func end() {
        lanes = [:]
        runners.whenIdle = nil
    }

    /// Whether a handler of this connection is suspended, so that its other events must be queued.
    @inline(__always) func isBusy(_ id: ConnectionID) -> Bool { !lanes.isEmpty && lanes[id] != nil }

    /// Runs the handler of an event now, or after those queued before it. `bytes` is the memory it holds while it is
    /// queued.
    func run(_ id: ConnectionID, _ event: ServerEvent.Kind = .task, bytes: Int = 0, _ work: @escaping Work) {
        guard isBusy(id) else {
            if let runner = runners.start(event, id, work) {
                runner.whenLate = { self.resume(id) }
                lanes[id] = Lane()
            }
            return
        }
        lanes[id]!.queue.append(Item(event: event, work: work, bytes: bytes, ticket: deferEvent()))
        lanes[id]!.bytes += bytes
        let isFull = lanes[id]!.count >= HandlerLanes.pauseAt || lanes[id]!.bytes >= HandlerLanes.pauseAtBytes
        if isFull, !lanes[id]!.isPaused {
            lanes[id]!.isPaused = true
            pause(id, true)
        }
    }

    /// Runs the handler of a message of a connection that is not busy.
    @inline(__always) func runMessage(
        _ id: ConnectionID, _ handler: consuming HandlerRunners.MessageCall, _ message: TaskMessage
    ) {
        guard let runner = runners.startMessage(id, consume handler, message) else { return }
        suspended(runner, id)
    }

    @inline(never) private func suspended(_ runner: HandlerRunners.Runner, _ id: ConnectionID) {
        runner.whenLate = { self.resume(id) }
        lanes[id] = Lane()
    }

    /// Whether a request of this connection is served now: not when too many of its handlers are suspended.
    @inline(__always) func admits(_ id: ConnectionID) -> Bool {
        !isBusy(id) && (requests.isEmpty || requests[id, default: 0] < HandlerLanes.overlapping)
    }

    /// Runs the handler of a request that was admitted; others are queued by ``run(_:_:bytes:_:)``.
    @inline(__always) func runRequest(
        _ function: HandlerRunners.AsyncHandler, _ request: consuming Request, _ response: consuming AnyObject
    ) {
        guard let runner = runners.start(function, consume request, consume response) else { return }
        suspendedRequest(runner)
    }

    @inline(never) private func suspendedRequest(_ runner: HandlerRunners.Runner) {
        guard let id = runner.connection else { return }
        requests[id, default: 0] += 1
        runner.whenLate = {
            if let count = self.requests[id], count > 1 {
                self.requests[id] = count - 1
            } else {
                self.requests[id] = nil
            }
        }
    }

    /// Runs the queued handlers after a suspended one has returned.
    private func resume(_ id: ConnectionID) {
        while let item = lanes[id]?.takeFirst() {
            let isLow =
                lanes[id]!.count <= HandlerLanes.pauseAt / 4 && lanes[id]!.bytes <= HandlerLanes.pauseAtBytes / 4
            if isLow, lanes[id]!.isPaused {
                lanes[id]!.isPaused = false
                pause(id, false)
            }
            // The lane stays: events that the handler causes must be queued behind it.
            drop(item.ticket)
            if let runner = runners.start(item.event, id, item.work) {
                runner.whenLate = { self.resume(id) }
                return
            }
        }
        lanes[id] = nil
    }
}
