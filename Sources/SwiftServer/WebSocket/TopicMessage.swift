internal import CReactor

/// A message of a client in the protocol of topics: a line of JSON, and behind a line end the data to publish.
struct TopicMessage: Sendable {
    enum Kind: String { case subscribe, unsubscribe, publish, ping }

    let kind: Kind
    /// The client's number of the message, which the answer has.
    let id: Int
    /// "" of a ping.
    let topic: String
    let position: TopicPosition?
    let data: ArraySlice<UInt8>

    /// `nil`: the message is malformed.
    init?(_ bytes: [UInt8]) {
        let end = bytes.firstIndex(of: UInt8(ascii: "\n")) ?? bytes.endIndex
        guard let head = JSONValue(Array(bytes[..<end])), let type = head["type"]?.string,
            let kind = Kind(rawValue: type)
        else { return nil }
        let number = head["id"]?.number ?? 0
        guard number >= 0, number < 0x1p53, number.rounded() == number else { return nil }
        let topic = head["topic"]?.string ?? ""
        guard kind == .ping ? topic.isEmpty : (1...Int(CRE_MAX_TOPIC)).contains(topic.utf8.count) else { return nil }
        if let text = head["position"] {
            guard let text = text.string, let position = TopicPosition(text) else { return nil }
            self.position = position
        } else {
            position = nil
        }
        guard kind == .publish || end == bytes.endIndex else { return nil }
        (self.kind, id, self.topic) = (kind, Int(number), topic)
        data = bytes[end...].dropFirst()
    }

    // MARK: Answers

    private func answer(_ type: String, _ members: String = "") -> String {
        "{\"type\":\"\(type)\",\"id\":\(id),\"topic\":\(JSONString.quoted(topic))\(members)}"
    }

    static let pong = "{\"type\":\"pong\"}"
    var published: String { answer("published") }
    /// Subscribed to a topic without history.
    var subscribed: String { answer("subscribed", ",\"recovery\":\"none\"") }
    func refused(_ reason: String) -> String { answer("refused", ",\"reason\":\"\(reason)\"") }

    func subscribed(_ position: TopicPosition, recovery: String, count: Int = 0) -> String {
        answer("subscribed", ",\"position\":\"\(position)\",\"recovery\":\"\(recovery)\",\"count\":\(count)")
    }
}
