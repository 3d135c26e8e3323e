internal import CReactor
internal import CReactorInternal

/// The task worker's side of tasks: runs one after the other.
@safe final class TaskRunner: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private let link: WorkerLink
    /// The queue of a server in single mode, which has no task workers.
    private let local: LocalTasks?
    private let handler: ((TaskRunner, ServerTask) -> Void)?
    let runners: HandlerRunners
    private let maxTask: Int
    private var quota: Quota
    /// Called when the quota is used up.
    var whenQuotaReached: (() -> Void)?
    /// Called when a task has ended.
    var whenEnded: (() -> Void)?
    /// The task in hand.
    private(set) var current: TaskID?

    init(
        link: WorkerLink, local: LocalTasks?, handlers: TaskHandlers, runners: HandlerRunners, maxTask: Int,
        quota: Quota
    ) {
        self.link = link
        self.local = local
        handler = handlers.task
        self.runners = runners
        self.maxTask = maxTask
        self.quota = quota
    }

    func begin(_ id: TaskID, from poster: Int, _ data: [UInt8], wantsResult: Bool) {
        guard let handler else { return }
        if quota.take() { whenQuotaReached?() }
        let task = MainActor.assumeIsolated {
            ServerTask(id: id, workerID: poster, data: data, wantsResult: wantsResult, runner: self)
        }
        current = id
        handler(self, task)
    }

    /// The task's asynchronous handler is suspended: other tasks stay queued until one of these ends.
    func suspend() {
        if local == nil { link.suspendTask() }
    }

    /// Ends the task in hand with its last result, if it has one. Result and end are one message: its poster gets the
    /// result or, when this process dies, a failure.
    func end(_ result: [UInt8]?) {
        guard let result else { return end(CRE_TASK_DONE, []) }
        guard result.count <= maxTask else {
            return end(failure: "its result has \(result.count) bytes, more than settings.maxTask (\(maxTask))")
        }
        end(CRE_TASK_RESULT, result)
    }

    /// Ends the task in hand; its poster is notified of the failure.
    func end(failure: String) { end(CRE_TASK_FAILED, [UInt8](failure.utf8.prefix(4096))) }

    private func end(_ status: cre_task_status, _ bytes: [UInt8]) {
        current = nil
        if let local { local.end(status, bytes) } else { link.endTask(status, bytes) }
        whenEnded?()
    }

    /// Sends a result of the task in hand to its poster.
    @MainActor func answer(_ task: ServerTask, _ result: [UInt8]) -> ReplyResult {
        guard current == task.id else { return .ended }
        guard task.wantsResult else { return .unwanted }
        guard result.count <= maxTask else { return .tooLarge }
        return local?.answer(result) ?? link.answerTask(result) ? .sent : .full
    }
}
