/// Asks the processes that own sockets, and gathers their answers. One that does not answer in time, since a handler
/// blocks it or it was killed, is missing among them.
@safe final class OwnerSurvey<Answer> {
    /// Gets the answers by node.
    typealias Done = ([Int: Answer]) -> Void

    private struct Question {
        var missing: Set<Int> = []
        var answers: [Int: Answer]
        let done: Done
        var timer: TimerID?
    }

    private let owners: Range<Int>
    private let timers: Timers
    /// The most open questions.
    private let most: Int
    private var open: [UInt64: Question] = [:]
    /// Not from 1 on: an answer to a predecessor of this process must not be taken for one to it.
    private var last = UInt64.random(in: 0...UInt64.max)

    init(owners: Range<Int>, timers: Timers, most: Int) {
        self.owners = owners
        self.timers = timers
        self.most = most
    }

    /// The number of owners.
    var ownerCount: Int { owners.count }

    /// Asks all owners by `send`, which gets the node of each and the number of the question, but those with an answer
    /// in `known`. Calls `done` once, on the loop's thread, at the latest after `limit`. Returns false, without a call,
    /// when too many questions are open.
    func ask(
        within limit: Duration, known: [Int: Answer] = [:], send: (_ node: Int, _ number: UInt64) -> Bool,
        done: @escaping Done
    ) -> Bool {
        guard open.count < most else { return false }
        last &+= 1
        let number = last
        var question = Question(answers: known, done: done)
        question.missing = Set(owners.filter { known[$0] == nil && send($0, number) })
        guard !question.missing.isEmpty else {
            done(known)
            return true
        }
        question.timer = timers.start(after: limit, every: nil, .deadline) { [weak self] _ in
            self?.open[number]?.timer = nil
            self?.end(number)
        }
        open[number] = question
        return true
    }

    /// Takes an answer. Those to questions that have ended are dropped.
    func receive(_ answer: Answer, from node: Int, _ number: UInt64) {
        guard open[number]?.missing.remove(node) != nil else { return }
        open[number]!.answers[node] = answer
        if open[number]!.missing.isEmpty { end(number) }
    }

    /// Ends all questions with the answers that are there.
    func end() {
        for number in Array(open.keys) { end(number) }
    }

    private func end(_ number: UInt64) {
        guard let question = open.removeValue(forKey: number) else { return }
        if let timer = question.timer { timers.clear(timer) }
        question.done(question.answers)
    }
}
