/// The settings of the topics of a pattern, in a cluster.
public struct TopicSettings: Sendable, Hashable {
    /// The number of messages that are kept, at most 10,000. With a history a message that was accepted is delivered
    /// once to each subscriber, also when processes, connections or Redis fail; it costs Redis 6 to 24
    /// times as much. Default: 0, none: a message is delivered at most once.
    public var history: Int
    /// The time for which messages are kept after the last one. Default: 5 minutes.
    public var historyAge: Duration
    /// Whether subscribers of this server get a message at once, also while Redis cannot be reached, and not in the
    /// order of the cluster. Only without a history. Default: false.
    public var isLocalFirst: Bool

    /// Whether clients get each message in an envelope, a line of JSON with the topic and the position before the
    /// message: `{"topic":"chat:lobby","position":"17:00f3a9c1d2e4b586"}`. By it they distinguish the topics of a
    /// connection, and know from which position on to subscribe again. Default: false.
    public var isEnveloped: Bool

    /// - Parameters:
    ///   - history: the number of messages that are kept; see ``history``.
    ///   - age: the time for which they are kept; see ``historyAge``.
    ///   - localFirst: whether subscribers of this server get a message at once; see ``isLocalFirst``.
    ///   - enveloped: whether clients get messages in envelopes; see ``isEnveloped``.
    public init(
        history: Int = 0, for age: Duration = .seconds(300), localFirst: Bool = false, enveloped: Bool = false
    ) {
        self.history = history
        historyAge = age
        isLocalFirst = localFirst
        isEnveloped = enveloped
    }

    func check(_ name: String) throws(ServerError) {
        guard (0...10_000).contains(history) else {
            throw .setting("\(name).history must be 0...10,000, got \(history)")
        }
        guard historyAge >= .seconds(1), historyAge <= .seconds(30 * 86_400) else {
            throw .setting("\(name).historyAge must be 1 second to 30 days, got \(historyAge)")
        }
        guard history == 0 || !isLocalFirst else {
            throw .setting("\(name): isLocalFirst must be false with a history, whose order holds for all servers")
        }
    }
}

/// The settings of topics, by pattern: a name, or `*` behind the beginning of names. Of several patterns that a topic
/// has, the longest one holds, and its name before all.
public struct TopicPatterns: Sendable {
    private var settings: [String: TopicSettings] = [:]

    /// No patterns: no topic has a history.
    public init() {}

    /// The settings of a pattern; `nil`: the defaults.
    public subscript(pattern: String) -> TopicSettings? {
        get { settings[pattern] }
        set { settings[pattern] = newValue }
    }

    var isEmpty: Bool { settings.isEmpty }

    /// The most messages that are kept of a topic.
    var longestHistory: Int { settings.values.map(\.history).max() ?? 0 }

    /// The patterns, those first that are decisive.
    var ordered: [(pattern: String, settings: TopicSettings)] {
        func rank(_ pattern: String) -> Int {
            pattern.hasSuffix("*") ? pattern.utf8.count - 1 : 1000 + pattern.utf8.count
        }
        return settings.sorted { (rank($0.key), $0.key) > (rank($1.key), $1.key) }
            .map { (pattern: $0.key, settings: $0.value) }
    }

    func check() throws(ServerError) {
        for (pattern, topic) in ordered {
            let name = "cluster.topics[\"\(pattern)\"]"
            guard (1...255).contains(pattern.utf8.count), !pattern.utf8.contains(0) else {
                throw .setting("\(name): a pattern must be 1 to 255 bytes")
            }
            guard !Audience.isReserved(pattern) else {
                throw .setting("\(name): topics that begin with \"$sws:\" are reserved")
            }
            try topic.check(name)
        }
    }
}
