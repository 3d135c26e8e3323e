internal import CReactor
internal import CReactorInternal

/// The subscribers of topics.
extension WorkerLink {
    /// The number of this process's own connections that are subscribed to a topic.
    func subscriberCount(of topic: String) -> Int {
        var topic = topic
        return topic.withUTF8 { unsafe Int(cre_worker_count(raw, $0.baseAddress, $0.count)) }
    }

    /// Asks the process of another node that owns sockets for the same. Returns whether the question is on its way.
    func askSubscriberCount(of topic: String, _ node: Int, _ number: UInt64) -> Bool {
        var topic = topic
        return topic.withUTF8 {
            unsafe cre_worker_ask_count(raw, UInt32(node), number, $0.baseAddress, $0.count) == 0
        }
    }

    /// Reads the answer of one; `nil`: it is malformed.
    static func count(_ payload: [UInt8]) -> Int? {
        guard payload.count == MemoryLayout<UInt64>.size else { return nil }
        let count = unsafe payload.withUnsafeBytes { unsafe $0.loadUnaligned(as: UInt64.self) }
        return UInt32(exactly: count).map(Int.init)
    }
}
