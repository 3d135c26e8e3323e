internal import CReactor
internal import CReactorInternal

/// Tasks of a server that has one process only: done one after the other on its own loop, where a debugger sees them.
@safe final class LocalTasks {
    private typealias Entry = (id: TaskID, kind: cre_task_kind, data: [UInt8])

    /// As much as waits for one task worker.
    private static let most = 4096
    private static let mostBytes = 32 << 20

    private unowned let runtime: WorkerRuntime
    private var waiting: [Entry] = []
    private var bytes = 0
    private var last: UInt64 = 0
    /// Results that their poster has not been given yet; one task may have any number of them.
    private var undelivered = (count: 0, bytes: 0)
    private var inHand: (id: TaskID, kind: cre_task_kind)?

    init(runtime: WorkerRuntime) { self.runtime = runtime }

    func post(_ data: [UInt8], _ kind: cre_task_kind) -> TaskPosting {
        guard waiting.count < LocalTasks.most, bytes + data.count <= LocalTasks.mostBytes else { return .full }
        last += 1
        waiting.append((TaskID(last), kind, data))
        bytes += data.count
        startLater()
        return .posted(TaskID(last))
    }

    private func deliver(_ record: cre_record, _ bytes: [UInt8]) {
        undelivered.count -= 1
        undelivered.bytes -= bytes.count
        runtime.desk.receive(record, bytes)
    }

    private func startLater() {
        let runtime = runtime
        runtime.loop.post { runtime.local?.startNext() }
    }

    private func startNext() {
        guard inHand == nil, !waiting.isEmpty else { return }
        let entry = waiting.removeFirst()
        bytes -= entry.data.count
        inHand = (entry.id, entry.kind)
        runtime.begin(entry.id, from: runtime.id, entry.data, wantsResult: entry.kind != CRE_TASK_ONE_WAY)
    }

    /// Something of the task in hand for its poster. False when there is none, or nobody to hear it.
    @discardableResult
    func answer(_ status: cre_task_status, final: Bool, _ bytes: [UInt8]) -> Bool {
        guard let task = inHand else { return false }
        // The last word is always taken: there is one for each task, and those have a limit.
        if !final, task.kind != CRE_TASK_ONE_WAY {
            guard undelivered.count < LocalTasks.most, undelivered.bytes + bytes.count <= LocalTasks.mostBytes
            else { return false }
        }
        if final {
            inHand = nil
            startLater()
        }
        guard task.kind != CRE_TASK_ONE_WAY else { return false }
        let record = cre_record(
            length: UInt32(bytes.count), kind: UInt8(CRE_MESSAGE_RESULT.rawValue),
            opcode: UInt8(status.rawValue | task.kind.rawValue << 4), flags: final ? UInt16(CRE_RECORD_FINAL) : 0,
            session: task.id.rawValue)
        undelivered.count += 1
        undelivered.bytes += bytes.count
        let runtime = runtime
        runtime.loop.post { runtime.local?.deliver(record, bytes) }
        return true
    }
}
