internal import CReactor

/// Members of topics.
extension WorkerContext {
    /// Subscribes a connection as a member.
    func join(_ fd: ConnectionID, _ topic: String, _ member: TopicMember) -> PushResult {
        guard bus.exists(fd) else { return .closed }
        guard bus.isOpen(fd) else { return .notWebSocket }
        guard WorkerLink.isMember(topic, member), topic != CRE_TOPIC_NODES else { return .invalid }
        guard !isHere else { return link.join(fd, topic, member) }
        guard link.hasMembers else { return .unavailable }
        loop.post { [link] in _ = link.join(fd, topic, member) }
        return .queued
    }

    /// The servers of the cluster.
    func clusterNodes(timeout: Duration) async throws(ClusterError) -> [ClusterNode] {
        guard link.isInCluster else { throw .noCluster }
        let list = try await members(of: CRE_TOPIC_NODES, most: WorkerContext.mostNodes, timeout: timeout)
        return list.members.compactMap(ClusterNode.init)
    }

    /// The most servers of one list.
    private static let mostNodes = 10_000

    /// The members of a topic on all servers, at most `most`, and their number.
    func members(
        of topic: String, most: Int, timeout: Duration
    ) async throws(ClusterError) -> (members: [TopicMember], count: Int, isComplete: Bool) {
        guard let questions else { throw .noCluster }
        guard (1...Int(CRE_MAX_TOPIC)).contains(topic.utf8.count) else { throw .invalid }
        let question = cre_members_question(most: UInt32(most), reserved: 0)
        let payload = unsafe withUnsafeBytes(of: question) { unsafe [UInt8]($0) } + Array(topic.utf8)
        let answer = await questions.ask(CRE_QUESTION_MEMBERS, payload, timeout: timeout)
        guard answer.result == 0, let list = MemberList(answer.parts) else { throw .unavailable }
        return (list.members, list.count, list.isComplete)
    }
}

/// The answer to a question for members.
private struct MemberList {
    private(set) var members: [TopicMember] = []
    private(set) var count = 0
    private(set) var isComplete = false

    /// `nil`: it is malformed.
    init?(_ parts: [[UInt8]]) {
        guard !parts.isEmpty else { return nil }
        for part in parts {
            let size = MemoryLayout<cre_member_list>.size
            guard part.count >= size else { return nil }
            let head = unsafe part.withUnsafeBytes { unsafe $0.loadUnaligned(as: cre_member_list.self) }
            count = Int(clamping: head.count)
            isComplete = head.complete == 1
            guard add(part[size...]) else { return nil }
        }
    }

    private mutating func add(_ bytes: ArraySlice<UInt8>) -> Bool {
        let size = MemoryLayout<cre_listed_member>.size
        var rest = bytes
        while rest.count >= size {
            let head = unsafe rest.withUnsafeBytes { unsafe $0.loadUnaligned(as: cre_listed_member.self) }
            rest = rest.dropFirst(size)
            let (id, info) = (Int(head.id_length), Int(head.info_length))
            guard rest.count >= id + info else { return false }
            members.append(
                TopicMember(
                    id: String(decoding: rest.prefix(id), as: UTF8.self),
                    info: String(decoding: rest.dropFirst(id).prefix(info), as: UTF8.self)))
            rest = rest.dropFirst(id + info)
        }
        return rest.isEmpty
    }
}

/// A change of the members of a topic, as the gateway reports it.
struct MemberChange {
    let topic: String
    let member: TopicMember

    /// `nil`: it is malformed.
    init?(_ payload: [UInt8]) {
        let size = MemoryLayout<cre_joining>.size
        guard payload.count >= size else { return nil }
        let head = unsafe payload.withUnsafeBytes { unsafe $0.loadUnaligned(as: cre_joining.self) }
        let (name, id) = (Int(head.topic_length), Int(head.id_length))
        let rest = payload[size...]
        guard rest.count == name + id + Int(head.info_length) else { return nil }
        topic = String(decoding: rest.prefix(name), as: UTF8.self)
        member = TopicMember(
            id: String(decoding: rest.dropFirst(name).prefix(id), as: UTF8.self),
            info: String(decoding: rest.dropFirst(name + id), as: UTF8.self))
    }
}
