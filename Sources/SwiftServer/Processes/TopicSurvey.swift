internal import CReactor
internal import CReactorInternal

/// Asks the processes that own sockets for their topics. One that does not answer within a second, since a handler
/// blocks it, is skipped.
@safe final class TopicSurvey {
    typealias Done = ([Int: TopicList]) -> Void

    private struct Question {
        var missing: Set<Int>
        var answers: [Int: TopicList] = [:]
        let done: Done
    }

    private static let limit: Duration = .seconds(1)
    /// Questions at a time, of clients of the control socket.
    private static let most = 16

    private let owners: Range<Int>
    private let timers: Timers
    private var open: [UInt64: Question] = [:]
    private var last: UInt64 = 0

    init(owners: Range<Int>, timers: Timers) {
        self.owners = owners
        self.timers = timers
    }

    /// Asks all owners by `send`, which gets the node of each and the number of the question. `done` gets the answers
    /// by node, on the loop's thread. Returns false, without a call, when too many questions are open.
    func ask(send: (_ node: Int, _ number: UInt64) -> Bool, done: @escaping Done) -> Bool {
        guard open.count < TopicSurvey.most else { return false }
        last += 1
        let number = last
        open[number] = Question(missing: Set(owners.filter { send($0, number) }), done: done)
        _ = timers.start(after: TopicSurvey.limit, every: nil) { [weak self] _ in self?.end(number) }
        if open[number]!.missing.isEmpty { end(number) }
        return true
    }

    func receive(_ list: TopicList, from node: Int, _ number: UInt64) {
        guard open[number]?.missing.remove(node) != nil else { return }
        open[number]!.answers[node] = list
        if open[number]!.missing.isEmpty { end(number) }
    }

    private func end(_ number: UInt64) {
        guard let question = open.removeValue(forKey: number) else { return }
        question.done(question.answers)
    }
}
