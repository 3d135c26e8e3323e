internal import CReactor
internal import CReactorInternal

/// What a task worker reports of a task: the record CRE_MESSAGE_RESULT.
struct TaskResult {
    let task: UInt64
    let status: cre_task_status
    /// Whether only the very process that posted the task is waiting for it.
    let isAwaited: Bool
    /// Whether the task has ended.
    let isFinal: Bool
    let bytes: [UInt8]
}

extension TaskResult {
    /// The place of the task's kind in the record's opcode, above the status.
    private static let kindShift: UInt8 = 4

    init(_ record: cre_record, _ bytes: [UInt8]) {
        task = record.session
        status = cre_task_status(rawValue: UInt32(record.opcode & (1 << TaskResult.kindShift - 1)))
        isAwaited = record.opcode >> TaskResult.kindShift == CRE_TASK_AWAITED.rawValue
        isFinal = record.flags & UInt16(CRE_RECORD_FINAL) != 0
        self.bytes = bytes
    }

    /// The failure that it reports, if it does.
    var failure: TaskError? {
        switch status {
        case CRE_TASK_FAILED: .failed(String(decoding: bytes, as: UTF8.self))
        case CRE_TASK_CRASHED: .crashed
        default: nil
        }
    }

    var hasValue: Bool { status == CRE_TASK_RESULT }
}
