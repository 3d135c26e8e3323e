internal import CReactor
internal import CReactorInternal

/// The topics of one process that owns sockets: those with the most subscribers there.
struct TopicList {
    struct Topic {
        let name: String
        let subscribers: Int
    }

    /// The number of topics that fit the filter, listed or not.
    let matching: Int
    let topics: [Topic]

    /// The longest filter, in bytes.
    static let longestFilter = Int(CRE_MAX_TOPIC)
    /// The most topics in the list of a process.
    static let most = Int(CRE_MAX_LISTED_TOPICS)

    /// Reads a list that another process has written; `nil`: it is malformed.
    init?(_ bytes: UnsafeRawBufferPointer) {
        var rest = unsafe bytes[...]
        func number() -> Int? {
            guard unsafe rest.count >= 4 else { return nil }
            defer { unsafe rest = unsafe rest.dropFirst(4) }
            return unsafe Int(UnsafeRawBufferPointer(rebasing: rest).loadUnaligned(as: UInt32.self))
        }
        guard let matching = number(), let listed = number(), listed <= TopicList.most else { return nil }
        var topics: [Topic] = []
        for _ in 0..<listed {
            guard let subscribers = number(), let length = unsafe rest.popFirst(), unsafe rest.count >= Int(length)
            else {
                return nil
            }
            unsafe topics.append(
                Topic(name: String(decoding: rest.prefix(Int(length)), as: UTF8.self), subscribers: subscribers))
            unsafe rest = unsafe rest.dropFirst(Int(length))
        }
        self.matching = matching
        self.topics = topics
    }
}

extension WorkerLink {
    /// The topics of this process whose names contain `filter`; `nil`: it owns no sockets.
    func topics(_ filter: String) -> TopicList? {
        var filter = filter
        return filter.withUTF8 { filter in
            unsafe withUnsafeTemporaryAllocation(byteCount: Int(CRE_TOPIC_LIST_BYTES), alignment: 8) { list in
                let start = unsafe list.baseAddress.unsafelyUnwrapped.assumingMemoryBound(to: UInt8.self)
                let size = unsafe cre_worker_list_topics(raw, filter.baseAddress, filter.count, start)
                return unsafe TopicList(UnsafeRawBufferPointer(rebasing: list[..<size]))
            }
        }
    }
}
