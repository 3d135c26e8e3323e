internal import CReactor
internal import CReactorInternal

/// Tasks.
extension WorkerLink {
    /// Posts a task. `waiting` is the number of tasks queued before it.
    func post(
        _ data: [UInt8], on index: Int?, _ kind: cre_task_kind, limit: Int
    ) -> (posting: TaskPosting, waiting: UInt64) {
        unsafe TaskPosting.post(raw, data, on: index, kind, limit: limit)
    }

    /// Sends a result of the task in hand to its poster. False when no task is in hand, its poster wants no result, or
    /// there is no room for it.
    func answerTask(_ result: [UInt8]) -> Bool {
        unsafe result.withUnsafeBytes { unsafe cre_task_answer(raw, CRE_TASK_RESULT, $0.baseAddress, $0.count) == 0 }
    }

    /// Keeps the task in hand after its handler has returned. No other task starts before ``endTask(_:_:)``.
    func suspendTask() { unsafe cre_task_suspend(raw) }

    /// Ends the task in hand, with its last result or the text of its failure for the poster.
    func endTask(_ status: cre_task_status, _ bytes: [UInt8]) {
        unsafe bytes.withUnsafeBytes { unsafe cre_task_end(raw, status, $0.baseAddress, $0.count) }
    }
}

extension TaskPosting {
    static func post(
        _ worker: OpaquePointer, _ data: [UInt8], on index: Int?, _ kind: cre_task_kind, limit: Int
    ) -> (posting: TaskPosting, waiting: UInt64) {
        guard data.count <= limit, index.map({ $0 >= 0 && $0 <= Int32.max }) ?? true else { return (.refused, 0) }
        var posting = cre_task_posting()
        let result = unsafe data.withUnsafeBytes {
            unsafe cre_task_post(worker, Int32(index ?? -1), kind, $0.baseAddress, $0.count, &posting)
        }
        return switch result {
        case 0: (.posted(TaskID(posting.number)), posting.waiting)
        case CRE_ELINK_FULL.rawValue, CRE_ENOMEM.rawValue: (.full, 0)
        default: (.refused, 0)
        }
    }
}
