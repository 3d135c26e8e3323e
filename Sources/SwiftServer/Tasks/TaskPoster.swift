internal import CReactor
internal import CReactorInternal

/// The poster's side of tasks: the tasks that have not ended, and who is waiting for them.
@safe final class TaskPoster: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    typealias Outcome = Result<[UInt8]?, TaskError>

    private final class Waiter {
        let deliver: (Outcome) -> Void
        var timer: TimerID?
        init(_ deliver: @escaping (Outcome) -> Void) { self.deliver = deliver }
    }

    private let link: WorkerLink
    /// The queue of a server in single mode, which has no task workers.
    private let local: LocalTasks?
    private let handlers: TaskHandlers
    private let timers: Timers
    private let maxTask: Int
    private let now: () -> ContinuousClock.Instant
    /// Open tasks by number. Results of one without a waiter go to `onFinish`.
    private var open: [UInt64: Waiter?] = [:]
    private var hasWarnedOfQueue: ContinuousClock.Instant?
    private var hasWarnedOfResults = false
    /// Called when no task is open any more.
    var whenNoneOpen: (() -> Void)?

    init(
        link: WorkerLink, local: LocalTasks?, handlers: TaskHandlers, timers: Timers, maxTask: Int,
        now: @escaping () -> ContinuousClock.Instant = { .now }
    ) {
        self.link = link
        self.local = local
        self.handlers = handlers
        self.timers = timers
        self.maxTask = maxTask
        self.now = now
    }

    /// The number of open tasks whose end is reported here.
    var outstanding: Int { open.count }

    // MARK: Posting

    /// Posts a task whose results go to `onFinish`.
    func post(_ data: [UInt8], on index: Int?) -> TaskPosting {
        let posting = post(data, on: index, CRE_TASK_NOTED)
        if let id = posting.id { open[id.rawValue] = .some(nil) }
        return posting
    }

    /// Posts a task whose results are not delivered.
    func postOneWay(_ data: [UInt8], on index: Int?) -> TaskPosting { post(data, on: index, CRE_TASK_ONE_WAY) }

    /// Posts a task whose first result goes to `deliver`, which is called exactly once.
    @discardableResult
    func post(
        _ data: [UInt8], on index: Int?, timeout: Duration?, deliver: @escaping (Outcome) -> Void
    ) -> TaskPosting {
        let posting = post(data, on: index, CRE_TASK_AWAITED)
        guard let id = posting.id else {
            deliver(.failure(posting == .full ? .full : .refused))
            return posting
        }
        let waiter = Waiter(deliver)
        open[id.rawValue] = waiter
        if let timeout {
            waiter.timer = timers.start(after: timeout, every: nil) { [unowned self] _ in
                waiter.timer = nil
                close(id.rawValue, waiter, .failure(.timedOut))
            }
        }
        return posting
    }

    private func post(_ data: [UInt8], on index: Int?, _ kind: cre_task_kind) -> TaskPosting {
        if let local { return data.count <= maxTask ? local.post(data, kind) : .refused }
        let (posting, waiting) = link.post(data, on: index, kind, limit: maxTask)
        if posting.isAccepted, waiting > 0 { logQueue(waiting) }
        return posting
    }

    /// Logs that a task is queued: at most one line a second.
    private func logQueue(_ count: UInt64) {
        let now = now()
        if let last = hasWarnedOfQueue, now - last < .seconds(1) { return }
        hasWarnedOfQueue = now
        Log.notice("no task worker is idle; the task is queued behind \(count) others")
    }

    // MARK: Results

    func receive(_ result: TaskResult) {
        if let waiter = open[result.task] ?? nil {
            return close(
                result.task, waiter,
                result.failure.map { .failure($0) } ?? .success(result.hasValue ? result.bytes : nil))
        }
        // Nobody is waiting for it any more: the waiter has timed out, or belonged to a predecessor of this process.
        guard !result.isAwaited else { return }
        report(result)
        if result.isFinal { forget(result.task) }
    }

    private func report(_ result: TaskResult) {
        let id = TaskID(result.task)
        if let error = result.failure {
            if let taskError = handlers.taskError {
                taskError(id, error)
            } else {
                Log.warning("task \(id): \(error)")
            }
        } else if result.hasValue {
            if let finish = handlers.finish {
                finish(id, result.bytes)
            } else if !hasWarnedOfResults {
                hasWarnedOfResults = true
                Log.warning("task \(id) has a result, but there is no onFinish handler (logged once)")
            }
        }
    }

    private func close(_ number: UInt64, _ waiter: Waiter, _ outcome: Outcome) {
        if let timer = waiter.timer { timers.clear(timer) }
        forget(number)
        waiter.deliver(outcome)
    }

    private func forget(_ number: UInt64) {
        guard open.removeValue(forKey: number) != nil, open.isEmpty else { return }
        whenNoneOpen?()
    }
}
