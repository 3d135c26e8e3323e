internal import CReactor

/// Numbers of connections.
extension WorkerContext {
    /// The number of WebSockets that get what is published to an audience, on all servers.
    func subscriberCount(of audience: Audience, timeout: Duration) async throws(ClusterError) -> Int {
        guard audience.isValid, let topic = audience.topic else { throw .invalid }
        async let others = countElsewhere(topic, timeout)
        let here = await countHere(topic, timeout)
        guard let here, let others = await others else { throw .unavailable }
        let count = here.count + others.count
        guard here.isComplete && others.isComplete else { throw .incomplete(count) }
        return count
    }

    private typealias Count = (count: Int, isComplete: Bool)

    /// The connections of this server; `nil`: their owners cannot be asked. Each of these answers behind the commands
    /// that it has got from this process before.
    private func countHere(_ topic: String, _ timeout: Duration) async -> Count? {
        await withCheckedContinuation { continuation in
            let begin: @Sendable () -> Void = { [self] in
                guard let counts, isOpen else { return continuation.resume(returning: nil) }
                let known = link.ownNode.map { [$0: link.subscriberCount(of: topic)] } ?? [:]
                let isAsked = counts.ask(
                    within: timeout, known: known, send: { [link] in link.askSubscriberCount(of: topic, $0, $1) },
                    done: { answers in
                        let isComplete = answers.count == counts.ownerCount
                        continuation.resume(returning: (answers.values.reduce(0, +), isComplete))
                    })
                if !isAsked { continuation.resume(returning: nil) }
            }
            guard !isOnLoop else { return begin() }
            if !loop.post(begin) { continuation.resume(returning: nil) }
        }
    }

    /// The connections of other servers; `nil`: the cluster cannot be asked.
    private func countElsewhere(_ topic: String, _ timeout: Duration) async -> Count? {
        guard link.isInCluster, let questions else { return (0, true) }
        // The gateway's answer, with what is known then, comes within the time of this question.
        let limit = UInt32(clamping: max(0, (timeout * 9 / 10).milliseconds))
        let question = cre_count_question(timeout_ms: limit, reserved: 0)
        let payload = unsafe withUnsafeBytes(of: question) { unsafe [UInt8]($0) } + Array(topic.utf8)
        let answer = await questions.ask(CRE_QUESTION_COUNT, payload, timeout: timeout)
        guard answer.result == 0, let bytes = answer.parts.first, bytes.count == MemoryLayout<cre_count>.size
        else { return nil }
        let count = unsafe bytes.withUnsafeBytes { unsafe $0.loadUnaligned(as: cre_count.self) }
        return (Int(clamping: count.count), count.missing == 0)
    }
}
