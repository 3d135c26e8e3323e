internal import CReactor

/// Keeps the events of each connection in order when its handlers are asynchronous.
///
/// A handler that returns without suspending costs no bookkeeping. Of a connection whose handler is suspended, what
/// comes next waits; when too much does, reading from that connection stops until most of it was served. Requests need
/// not wait for each other: the core hands out at once only those that may overlap, and sorts the answers.
@safe final class HandlerLanes: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    typealias Work = HandlerRunners.Work

    private struct Lane {
        var waiting: [(work: Work, bytes: Int)] = []
        var next = 0
        var bytes = 0
        var count: Int { waiting.count - next }
        var isPaused = false

        mutating func takeFirst() -> Work? {
            guard next < waiting.count else { return nil }
            defer {
                next += 1
                if next == waiting.count {
                    waiting.removeAll(keepingCapacity: true)
                    next = 0
                } else if next == HandlerLanes.pauseAt {
                    waiting.removeFirst(next)
                    next = 0
                }
            }
            bytes -= waiting[next].bytes
            return waiting[next].work
        }
    }

    static let pauseAt = 64
    static let pauseAtBytes = 256 << 10
    /// So many handlers of requests of one connection may be suspended at once; with their answers sent they no longer
    /// count for the core.
    static let overlapping = Int(CRE_MAX_PIPELINED)

    // One thread, and never two accesses at once: what a handler sets off while a lane is changed waits in its lane.
    @safe @exclusivity(unchecked) private var lanes: [ConnectionID: Lane] = [:]
    /// Suspended handlers of requests.
    private var requests: [ConnectionID: Int] = [:]
    let runners: HandlerRunners
    /// Stops (true) or restarts reading from a connection.
    private let pause: (ConnectionID, Bool) -> Void

    init(runners: HandlerRunners, pause: @escaping (ConnectionID, Bool) -> Void) {
        self.runners = runners
        self.pause = pause
    }

    /// Whether a handler of this connection is suspended, so that everything else of it must wait.
    @inline(__always) func isBusy(_ id: ConnectionID) -> Bool { !lanes.isEmpty && lanes[id] != nil }

    /// Runs the handler now, or after those that came before. `bytes` is what it keeps in memory meanwhile.
    func run(_ id: ConnectionID, bytes: Int = 0, _ work: @escaping Work) {
        guard isBusy(id) else {
            if !runners.start(work, whenLate: { self.goOn(id) }) { lanes[id] = Lane() }
            return
        }
        lanes[id]!.waiting.append((work, bytes))
        lanes[id]!.bytes += bytes
        let isFull = lanes[id]!.count >= HandlerLanes.pauseAt || lanes[id]!.bytes >= HandlerLanes.pauseAtBytes
        if isFull, !lanes[id]!.isPaused {
            lanes[id]!.isPaused = true
            pause(id, true)
        }
    }

    /// Runs the handler of a request: now, unless too many of its connection are suspended.
    func runRequest(_ id: ConnectionID, _ work: @escaping Work) {
        guard !isBusy(id), requests.isEmpty || requests[id, default: 0] < HandlerLanes.overlapping else {
            return run(id, work)
        }
        let isDone = runners.start(work) {
            if let count = self.requests[id], count > 1 {
                self.requests[id] = count - 1
            } else {
                self.requests[id] = nil
            }
        }
        if !isDone { requests[id, default: 0] += 1 }
    }

    /// A suspended handler has returned: those that wait have their turn.
    private func goOn(_ id: ConnectionID) {
        while let work = lanes[id]?.takeFirst() {
            let isLow =
                lanes[id]!.count <= HandlerLanes.pauseAt / 4 && lanes[id]!.bytes <= HandlerLanes.pauseAtBytes / 4
            if isLow, lanes[id]!.isPaused {
                lanes[id]!.isPaused = false
                pause(id, false)
            }
            // The lane stays meanwhile: what the handler sets off must queue behind it.
            if !runners.start(work, whenLate: { self.goOn(id) }) { return }
        }
        lanes[id] = nil
    }
}
