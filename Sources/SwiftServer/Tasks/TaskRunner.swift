internal import CReactor
internal import CReactorInternal

/// Tasks and messages between processes, as they come and go.
extension WorkerRuntime {
    /// From another process.
    func receive(message: UnsafePointer<cre_record>, from node: Int, _ payload: UnsafeRawBufferPointer) {
        let record = unsafe message.pointee
        switch cre_message(rawValue: UInt32(record.kind)) {
        case CRE_MESSAGE_TASK:
            unsafe begin(
                TaskID(record.session), from: layout.id(ofNode: node), [UInt8](payload),
                wantsResult: UInt32(record.opcode) != CRE_TASK_ONE_WAY.rawValue)
        case CRE_MESSAGE_RESULT:
            unsafe desk.receive(record, [UInt8](payload))
        case CRE_MESSAGE_PIPE:
            unsafe server.handlers.pipeMessage?(self, layout.id(ofNode: node), [UInt8](payload))
        default: break
        }
    }

    // MARK: The task worker's side

    func begin(_ number: TaskID, from id: Int, _ data: [UInt8], wantsResult: Bool) {
        guard let handler = server.handlers.task else { return }
        if role == .taskWorker { count() }
        let task = MainActor.assumeIsolated {
            ServerTask(id: number, workerID: id, data: data, wantsResult: wantsResult, runtime: self)
        }
        taskInHand = number
        handler(self, task)
    }

    /// An asynchronous handler has suspended: what else there is waits until ``endTask(failure:)``.
    func suspendTask() {
        if local == nil { unsafe cre_task_suspend(worker) }
    }

    /// Ends the task in hand; with `failure` its poster is told.
    func endTask(failure: String? = nil) {
        taskInHand = nil
        let text = [UInt8]((failure ?? "").utf8.prefix(4096))
        if let local {
            local.answer(failure == nil ? CRE_TASK_DONE : CRE_TASK_FAILED, final: true, text)
        } else if failure != nil {
            unsafe text.withUnsafeBytes {
                unsafe cre_task_end(worker, CRE_TASK_FAILED, $0.baseAddress, $0.count)
            }
        } else {
            unsafe cre_task_end(worker, CRE_TASK_DONE, nil, 0)
        }
        drain.step()
    }

    func finish(_ id: TaskID, _ result: [UInt8]) -> Bool {
        guard taskInHand == id, result.count <= server.settings.maxTask else { return false }
        if let local { return local.answer(CRE_TASK_RESULT, final: false, result) }
        return unsafe result.withUnsafeBytes {
            unsafe cre_task_answer(worker, CRE_TASK_RESULT, $0.baseAddress, $0.count) == 0
        }
    }

    var isOnTask: Bool { taskInHand != nil }

    // MARK: The poster's side

    func post(_ data: [UInt8], on index: Int?, _ kind: cre_task_kind) -> TaskPosting {
        if let local { return data.count <= server.settings.maxTask ? local.post(data, kind) : .refused }
        var posting = cre_task_posting()
        let result = unsafe TaskPosting.post(worker, data, on: index, kind, server.settings.maxTask, &posting)
        if result.isAccepted, posting.waiting > 0 { desk.warn(ofWaiting: posting.waiting) }
        return result
    }

    /// Says something to the process of a number.
    func tell(_ bytes: [UInt8], to id: Int) -> PushResult {
        unsafe PushResult.tell(worker, bytes, to: id, layout)
    }
}

extension TaskPosting {
    static func post(
        _ worker: OpaquePointer, _ data: [UInt8], on index: Int?, _ kind: cre_task_kind, _ limit: Int,
        _ posting: inout cre_task_posting
    ) -> TaskPosting {
        guard data.count <= limit, index.map({ $0 >= 0 && $0 <= Int32.max }) ?? true else { return .refused }
        let result = unsafe data.withUnsafeBytes {
            unsafe cre_task_post(worker, Int32(index ?? -1), kind, $0.baseAddress, $0.count, &posting)
        }
        return switch result {
        case 0: .posted(TaskID(posting.number))
        case CRE_ELINK_FULL.rawValue, CRE_ENOMEM.rawValue: .full
        default: .refused
        }
    }
}

extension PushResult {
    static func tell(_ worker: OpaquePointer, _ bytes: [UInt8], to id: Int, _ layout: Layout) -> PushResult {
        guard (0..<layout.processes).contains(id) else { return .invalid }
        let result = unsafe bytes.withUnsafeBytes {
            unsafe cre_worker_tell(worker, UInt32(layout.node(of: id)), $0.baseAddress, $0.count)
        }
        return PushResult(result, local: false)
    }
}
