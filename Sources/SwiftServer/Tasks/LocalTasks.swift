internal import CReactor
internal import CReactorInternal

/// The tasks of a server in single mode: run one after the other on its own loop, where a debugger sees them.
@safe final class LocalTasks: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private typealias Entry = (id: TaskID, kind: cre_task_kind, data: [UInt8])

    /// The limits of the queue, as those of one task worker.
    private static let mostQueued = 4096
    private static let mostQueuedBytes = 32 << 20

    private let loop: EventLoop
    /// Runs a task.
    var begin: ((TaskID, [UInt8], _ wantsResult: Bool) -> Void)?
    /// Delivers a result to the poster.
    var deliver: ((TaskResult) -> Void)?
    private var queue: [Entry] = []
    private var bytes = 0
    private var last: UInt64 = 0
    /// Results that were not delivered yet; one task may have any number of them.
    private var undelivered = (count: 0, bytes: 0)
    private var current: (id: TaskID, kind: cre_task_kind)?

    init(loop: EventLoop) { self.loop = loop }

    func post(_ data: [UInt8], _ kind: cre_task_kind) -> TaskPosting {
        guard queue.count < LocalTasks.mostQueued, bytes + data.count <= LocalTasks.mostQueuedBytes else {
            return .full
        }
        last += 1
        queue.append((TaskID(last), kind, data))
        bytes += data.count
        startLater()
        return .posted(TaskID(last))
    }

    private func startLater() {
        loop.post { [self] in startNext() }
    }

    private func startNext() {
        guard current == nil, !queue.isEmpty else { return }
        let entry = queue.removeFirst()
        bytes -= entry.data.count
        current = (entry.id, entry.kind)
        begin?(entry.id, entry.data, entry.kind != CRE_TASK_ONE_WAY)
    }

    /// Sends a result of the current task. False when there is none, its poster wants no result, or too many are
    /// queued.
    func answer(_ result: [UInt8]) -> Bool {
        guard let task = current, task.kind != CRE_TASK_ONE_WAY, undelivered.count < LocalTasks.mostQueued,
            undelivered.bytes + result.count <= LocalTasks.mostQueuedBytes
        else { return false }
        send(CRE_TASK_RESULT, of: task, isFinal: false, result)
        return true
    }

    /// Ends the current task. Its end is always delivered: there is one for each task, and those have a limit.
    func end(_ status: cre_task_status, _ bytes: [UInt8]) {
        guard let task = current else { return }
        current = nil
        startLater()
        guard task.kind != CRE_TASK_ONE_WAY else { return }
        send(status, of: task, isFinal: true, bytes)
    }

    private func send(
        _ status: cre_task_status, of task: (id: TaskID, kind: cre_task_kind), isFinal: Bool, _ bytes: [UInt8]
    ) {
        undelivered.count += 1
        undelivered.bytes += bytes.count
        let result = TaskResult(
            task: task.id.rawValue, status: status, isAwaited: task.kind == CRE_TASK_AWAITED, isFinal: isFinal,
            bytes: bytes)
        loop.post { [self] in
            undelivered.count -= 1
            undelivered.bytes -= result.bytes.count
            deliver?(result)
        }
    }
}
