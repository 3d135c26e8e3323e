internal import CReactor
internal import CReactorInternal

/// Lists of topics.
extension ControlCommands {
    /// The numbers of each process that owns sockets, and the topics of all, those with the most subscribers first.
    /// Names are in the memory of these processes, which are asked for them.
    func topics(_ request: Request, _ send: @escaping (JSONText) -> Void) throws(Refusal) {
        var (filter, limit) = ("", 100)
        for (name, value) in Array(request.query) {
            switch name {
            case "filter":
                guard value.utf8.count <= TopicList.longestFilter else {
                    throw Refusal("filter must have at most \(TopicList.longestFilter) bytes")
                }
                filter = value
            case "limit": limit = try ControlCommands.number(name, value, 1...TopicList.most)
            default: throw Refusal("unknown argument \"\(name)\"")
            }
        }
        let isAsked = connections.topics(filter) { send(describe($0, limit)) }
        guard isAsked else { throw Refusal(503, "the server is starting, stopping or asked too often") }
    }

    private func describe(_ lists: [Int: TopicList], _ limit: Int) -> JSONText {
        let owners = monitor.layout.owners
        var subscribers: [String: Int] = [:]
        for topic in lists.values.flatMap(\.topics) { subscribers[topic.name, default: 0] += topic.subscribers }
        let sorted = subscribers.sorted { ($1.value, $0.key) < ($0.value, $1.key) }
        let isComplete =
            owners.allSatisfy { lists[$0] != nil } && sorted.count <= limit
            && lists.values.allSatisfy { $0.matching == $0.topics.count }
        let processes = owners.map { node in
            let engine = NodeStatistics(monitor.bus, node: node).raw.engine
            return JSONText([
                "name": JSONText(monitor.names[node]), "topics": JSONText(engine.topics),
                "subscriptions": JSONText(engine.subscriptions), "answered": JSONText(lists[node] != nil),
            ])
        }
        let total = owners.reduce(UInt64(0)) {
            $0 &+ NodeStatistics(monitor.bus, node: $1).raw.engine.subscriptions
        }
        return JSONText([
            "subscriptions": JSONText(total), "processes": JSONText(processes),
            "topics": JSONText(
                sorted.prefix(limit).map {
                    JSONText(["name": JSONText($0.key), "subscribers": JSONText($0.value)])
                }), "complete": JSONText(isComplete),
        ])
    }
}
