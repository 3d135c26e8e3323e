/// Keeps the events of each connection in order when its handlers are asynchronous.
///
/// A handler that returns without suspending costs no bookkeeping. Of a connection whose handler is suspended, what
/// comes next waits; when too much does, reading from that connection stops until most of it was served.
@safe final class HandlerLanes: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    typealias Work = @MainActor () async -> Void

    private struct Lane {
        var waiting: [Work] = []
        var next = 0
        var count: Int { waiting.count - next }
        var isPaused = false
    }

    /// What the starter of a handler and its task tell each other.
    private final class Progress: @unchecked Sendable {
        var isDone = false
        var isSuspended = false
    }

    static let pauseAt = 64
    static let resumeAt = 16

    private var lanes: [ConnectionID: Lane] = [:]
    private var spare: Progress?
    private let executor: LoopExecutor
    /// Whose connections they are.
    unowned var runtime: WorkerRuntime!

    init(executor: LoopExecutor) { self.executor = executor }

    /// Whether a handler of this connection is suspended, so that everything else of it must wait.
    func isBusy(_ id: ConnectionID) -> Bool { !lanes.isEmpty && lanes[id] != nil }

    /// Runs the handler now, or after those that came before.
    func run(_ id: ConnectionID, _ work: @escaping Work) {
        guard isBusy(id) else {
            if !start(id, work) { lanes[id] = Lane() }
            return
        }
        lanes[id]!.waiting.append(work)
        if lanes[id]!.count >= HandlerLanes.pauseAt, !lanes[id]!.isPaused {
            lanes[id]!.isPaused = true
            runtime.pause(id, true)
        }
    }

    /// Whether it is done already.
    private func start(_ id: ConnectionID, _ work: @escaping Work) -> Bool {
        let progress = spare ?? Progress()
        spare = nil
        executor.start {
            await work()
            progress.isDone = true
            if progress.isSuspended { self.goOn(id) }
        }
        guard progress.isDone else {
            progress.isSuspended = true
            return false
        }
        // Its task has seen the last of it.
        progress.isDone = false
        spare = progress
        return true
    }

    /// A suspended handler has returned: those that wait have their turn.
    private func goOn(_ id: ConnectionID) {
        while var lane = lanes.removeValue(forKey: id) {
            guard lane.next < lane.waiting.count else { return }
            let work = lane.waiting[lane.next]
            lane.next += 1
            if lane.next == lane.waiting.count {
                lane.waiting.removeAll(keepingCapacity: true)
                lane.next = 0
            } else if lane.next >= HandlerLanes.pauseAt {
                lane.waiting.removeFirst(lane.next)
                lane.next = 0
            }
            if lane.isPaused, lane.count <= HandlerLanes.resumeAt {
                lane.isPaused = false
                runtime.pause(id, false)
            }
            // Back in its place before the handler runs: what the handler sets off must queue behind it.
            lanes[id] = lane
            if !start(id, work) { return }
        }
    }
}
