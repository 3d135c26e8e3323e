internal import CReactor
internal import Glibc

/// Topics with history.
extension WorkerContext {
    /// The position of the last message of a topic; `nil`: it has no history, or the cluster cannot be asked in time.
    func position(of topic: String, timeout: Duration) async -> TopicPosition? {
        guard let questions, Audience.topic(topic).isValid else { return nil }
        let answer = await questions.ask(CRE_QUESTION_POSITION, Array(topic.utf8), timeout: timeout)
        return answer.result == 0 ? answer.parts.first.flatMap(TopicPosition.init(bytes:)) : nil
    }

    /// Subscribes a connection and sends it what it has missed; see
    /// ``WebSocketServer/subscribe(_:to:since:timeout:)``.
    func subscribe(
        _ fd: ConnectionID, _ topic: String, since position: TopicPosition?, timeout: Duration
    ) async -> TopicRecovery {
        guard Audience.topic(topic).isValid else { return .refused(.invalid) }
        guard let questions else { return .refused(.noHistory) }
        let end = ContinuousClock.now + timeout
        while true {
            let mark = isHere ? link.sent(fd) : 0
            let question = cre_recovery(
                session: fd.rawValue,
                since: cre_topic_position(epoch: position?.epoch ?? 0, offset: position?.offset ?? 0), mark: mark)
            let payload = unsafe withUnsafeBytes(of: question) { unsafe [UInt8]($0) } + Array(topic.utf8)
            let answer = await questions.ask(CRE_QUESTION_RECOVER, payload, timeout: end - .now)
            guard answer.result == -EAGAIN, ContinuousClock.now < end else { return TopicRecovery(answer) }
        }
    }
}

extension TopicRecovery {
    init(_ answer: GatewayAnswer) {
        switch answer.result {
        case 0: break
        case CRE_ESTATE.rawValue:
            self = .refused(.noHistory)
            return
        case CRE_ELIMIT.rawValue:
            self = .refused(.limitReached)
            return
        case CRE_EGONE.rawValue, CRE_ENOT_WEBSOCKET.rawValue, CRE_EQUEUE_FULL.rawValue:
            self = .refused(PushResult(answer.result, local: false))
            return
        default:
            self = .refused(.unavailable)
            return
        }
        guard let bytes = answer.parts.first, bytes.count == MemoryLayout<cre_recovered>.size,
            let position = TopicPosition(bytes: bytes)
        else {
            self = .refused(.unavailable)
            return
        }
        let recovered = unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: cre_recovered.self) }
        self =
            switch cre_recovery_outcome(rawValue: recovered.outcome) {
            case CRE_RECOVERY_COMPLETE: .recovered(position, count: Int(recovered.messages))
            case CRE_RECOVERY_LOST: .lost(position)
            default: .subscribed(position)
            }
    }
}

extension TopicPosition {
    /// Reads a position of the C core, at the beginning of some bytes.
    init?(bytes: [UInt8]) {
        guard bytes.count >= MemoryLayout<cre_topic_position>.size else { return nil }
        let position = unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: cre_topic_position.self) }
        guard position.epoch != 0 else { return nil }
        self.init(epoch: position.epoch, offset: position.offset)
    }
}
