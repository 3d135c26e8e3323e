internal import CReactor

/// Values that all servers of the cluster share, or without one the processes of this server.
extension WorkerContext {
    func apply(_ operation: ValueOperation, timeout: Duration) async throws(ClusterError) -> ValueOutcome {
        if let values { return try values.apply(operation) }
        guard let questions else { throw .noCluster }
        let (invalid, payload) = unsafe operation.withRaw { raw in
            unsafe (cre_value_check(raw), ValueOperation.payload(raw.pointee))
        }
        if let error = ClusterError(value: invalid) { throw error }
        let answer = await questions.ask(CRE_QUESTION_VALUE, payload, timeout: timeout)
        if let error = ClusterError(value: answer.result) { throw error }
        guard let outcome = answer.parts.first.flatMap(ValueOutcome.init(answer:)) else { throw .unavailable }
        return outcome
    }
}

extension ValueOperation {
    /// The payload of the question for an operation, which was checked.
    fileprivate static func payload(_ raw: cre_value_operation) -> [UInt8] {
        let head = unsafe cre_value_question(
            kind: UInt8(truncatingIfNeeded: raw.kind), condition: UInt8(truncatingIfNeeded: raw.condition),
            key_length: UInt16(truncatingIfNeeded: raw.key.length),
            value_length: UInt32(truncatingIfNeeded: raw.value.length),
            expected_length: UInt32(truncatingIfNeeded: raw.expected.length), reserved: 0, amount: raw.amount,
            lifetime_ms: raw.lifetime_ms)
        var payload = unsafe withUnsafeBytes(of: head) { unsafe [UInt8]($0) }
        unsafe payload += UnsafeBufferPointer(start: raw.key.data, count: raw.key.length)
        unsafe payload += UnsafeBufferPointer(start: raw.value.data, count: raw.value.length)
        unsafe payload += UnsafeBufferPointer(start: raw.expected.data, count: raw.expected.length)
        return payload
    }
}

extension ValueOutcome {
    /// `nil`: the answer is malformed.
    fileprivate init?(answer: [UInt8]) {
        let size = MemoryLayout<cre_value_answer>.size
        guard answer.count >= size else { return nil }
        let head = unsafe answer.withUnsafeBytes { unsafe $0.loadUnaligned(as: cre_value_answer.self) }
        self.init(isDone: head.done == 1, bytes: Array(answer[size...]))
    }
}
