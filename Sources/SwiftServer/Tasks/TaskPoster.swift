internal import CReactor
internal import CReactorInternal

/// The poster's side of tasks: what was posted and is not done yet, and who waits for it.
@safe final class TaskDesk {
    typealias Outcome = Result<[UInt8]?, TaskError>

    private final class Waiter {
        let deliver: (Outcome) -> Void
        var timer: TimerID?
        init(_ deliver: @escaping (Outcome) -> Void) { self.deliver = deliver }
    }

    private let runtime: WorkerRuntime
    /// By number. Without a waiter the results are `onFinish`'s.
    private var open: [UInt64: Waiter?] = [:]
    private var hasWarnedOfWaiting: ContinuousClock.Instant?
    private var hasWarnedOfResults = false

    init(runtime: WorkerRuntime) { self.runtime = runtime }

    /// How many tasks are not done yet, of those that somebody hears of.
    var outstanding: Int { open.count }

    // MARK: Posting

    func post(_ data: [UInt8], on index: Int?) -> TaskPosting {
        let posting = runtime.post(data, on: index, CRE_TASK_NOTED)
        if let id = posting.id { open[id.rawValue] = .some(nil) }
        return posting
    }

    /// `deliver` is called once, in any case.
    @discardableResult
    func post(
        _ data: [UInt8], on index: Int?, timeout: Duration?, deliver: @escaping (Outcome) -> Void
    ) -> TaskPosting {
        let posting = runtime.post(data, on: index, CRE_TASK_AWAITED)
        guard let id = posting.id else {
            deliver(.failure(posting == .full ? .full : .refused))
            return posting
        }
        let waiter = Waiter(deliver)
        open[id.rawValue] = waiter
        if let timeout {
            waiter.timer = runtime.timers.start(after: timeout, every: nil) { [unowned self] _ in
                waiter.timer = nil
                close(id.rawValue, .failure(.timedOut))
            }
        }
        return posting
    }

    /// So much waits that a task will have to: worth a word, but not one for each.
    func warn(ofWaiting count: UInt64) {
        if let last = hasWarnedOfWaiting, ContinuousClock.now - last < .seconds(1) { return }
        hasWarnedOfWaiting = .now
        Log.notice("no task worker is idle; the task waits behind \(count) others")
    }

    // MARK: Results

    func receive(_ record: cre_record, _ bytes: [UInt8]) {
        let status = cre_task_status(rawValue: UInt32(record.opcode & 0x0F))
        let isAwaited = record.opcode >> 4 == CRE_TASK_AWAITED.rawValue
        let isFinal = record.flags & UInt16(CRE_RECORD_FINAL) != 0
        let entry = open[record.session]
        if let waiter = entry ?? nil {
            switch status {
            case CRE_TASK_RESULT: close(record.session, .success(bytes))
            case CRE_TASK_FAILED: close(record.session, .failure(.failed(String(decoding: bytes, as: UTF8.self))))
            case CRE_TASK_CRASHED: close(record.session, .failure(.crashed))
            default: close(record.session, .success(nil))
            }
            _ = waiter
            return
        }
        // Somebody waited for it who does no more: its time was over, or it was a predecessor of this process.
        guard !isAwaited else { return }
        note(TaskID(record.session), status, bytes)
        if isFinal, entry != nil { forget(record.session) }
    }

    private func note(_ id: TaskID, _ status: cre_task_status, _ bytes: [UInt8]) {
        let handlers = runtime.server.handlers
        switch status {
        case CRE_TASK_RESULT:
            if let finish = handlers.finish {
                finish(runtime, id, bytes)
            } else if !hasWarnedOfResults {
                hasWarnedOfResults = true
                Log.warning("task \(id) has a result, and there is no onFinish to take it (said once)")
            }
        case CRE_TASK_FAILED, CRE_TASK_CRASHED:
            let error: TaskError =
                status == CRE_TASK_CRASHED ? .crashed : .failed(String(decoding: bytes, as: UTF8.self))
            if let taskError = handlers.taskError {
                taskError(runtime, id, error)
            } else {
                Log.warning("task \(id): \(error)")
            }
        default: break
        }
    }

    private func close(_ number: UInt64, _ outcome: Outcome) {
        guard let waiter = open[number] ?? nil else { return }
        if let timer = waiter.timer { runtime.timers.clear(timer) }
        forget(number)
        waiter.deliver(outcome)
    }

    private func forget(_ number: UInt64) {
        open[number] = nil
        if open.isEmpty { runtime.drain.step() }
    }
}
