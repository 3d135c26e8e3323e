internal import CReactor
internal import CReactorInternal

/// What the gateway of the cluster has answered: one part or several.
struct GatewayAnswer: Sendable {
    /// 0, or an error of the C core.
    let result: Int32
    let parts: [[UInt8]]

    /// The cluster cannot be asked, or has not answered in time.
    static let unavailable = GatewayAnswer(result: CRE_EBROKER_UNAVAILABLE.rawValue, parts: [])
}

/// The questions of this process to the gateway of the cluster. Each ends: by its answer, when its time has passed,
/// when the gateway has died, or with this process.
@safe final class GatewayQuestions: @unchecked Sendable {
    // `@unchecked`: everything but the asynchronous ``ask(_:_:timeout:)`` happens on the loop's thread.
    typealias Deliver = (GatewayAnswer) -> Void

    private final class Question {
        let deliver: Deliver
        /// The gateway's process when the question was asked.
        let gateway: Int32
        var parts: [[UInt8]] = []
        var size = 0
        var timer: TimerID?

        init(_ gateway: Int32, _ deliver: @escaping Deliver) {
            self.gateway = gateway
            self.deliver = deliver
        }
    }

    /// How a question is sent, and which process would get it.
    struct Path {
        let send: (_ number: UInt64, _ question: cre_question, _ payload: [UInt8]) -> Int32
        let gateway: () -> Int32
    }

    /// The most open questions.
    static let most = 4096
    /// The most bytes of an answer.
    static let mostBytes = 32 << 20
    /// The interval at which a process with open questions looks whether the gateway was replaced.
    private static let watchInterval: Duration = .milliseconds(50)

    private let path: Path
    private let timers: Timers
    private let loop: EventLoop?
    private var open: [UInt64: Question] = [:]
    private var watch: TimerID?
    private var hasEnded = false
    /// Not from 1 on: an answer to a predecessor of this process must not be taken for one to it.
    private var last = UInt64.random(in: 0...UInt64.max)

    init(_ path: Path, timers: Timers, loop: EventLoop?) {
        self.path = path
        self.timers = timers
        self.loop = loop
    }

    /// The number of open questions.
    var count: Int { open.count }

    /// Asks, and suspends until there is an answer, at most for `timeout`. Any thread.
    nonisolated func ask(_ question: cre_question, _ payload: [UInt8], timeout: Duration) async -> GatewayAnswer {
        await withCheckedContinuation { continuation in
            let begin: @Sendable () -> Void = { [self] in
                ask(question, payload, timeout: timeout) { continuation.resume(returning: $0) }
            }
            guard let loop, !loop.executor.isHere else { return begin() }
            if !loop.post(begin) { continuation.resume(returning: .unavailable) }
        }
    }

    /// Asks. `deliver` gets the answer, exactly once, at once if there can be none.
    func ask(_ question: cre_question, _ payload: [UInt8], timeout: Duration, deliver: @escaping Deliver) {
        guard !hasEnded, open.count < GatewayQuestions.most else { return deliver(.unavailable) }
        last &+= 1
        let number = last
        let gateway = path.gateway()
        let result = path.send(number, question, payload)
        guard result == 0 else { return deliver(GatewayAnswer(result: result, parts: [])) }
        let question = Question(gateway, deliver)
        open[number] = question
        question.timer = timers.start(after: timeout, every: nil, .deadline) { [weak self] _ in
            question.timer = nil
            self?.close(number, .unavailable)
        }
        if watch == nil {
            let interval = GatewayQuestions.watchInterval
            watch = timers.start(after: interval, every: interval) { [weak self] _ in self?.look() }
        }
    }

    /// Takes a part of an answer. Those of questions that have ended are dropped.
    func receive(_ record: cre_record, _ payload: [UInt8]) {
        let head = MemoryLayout<cre_answer>.size
        guard let question = open[record.session], payload.count >= head else { return }
        let answer = unsafe payload.withUnsafeBytes { unsafe $0.loadUnaligned(as: cre_answer.self) }
        question.size += payload.count
        guard question.size <= GatewayQuestions.mostBytes else { return close(record.session, .unavailable) }
        question.parts.append(Array(payload[head...]))
        guard UInt32(record.flags) & CRE_RECORD_FINAL != 0 else { return }
        close(record.session, GatewayAnswer(result: answer.result, parts: question.parts))
    }

    /// Ends all questions, before the link is closed.
    func end() {
        hasEnded = true
        for number in Array(open.keys) { close(number, .unavailable) }
    }

    /// A gateway that has died does not answer.
    private func look() {
        let gateway = path.gateway()
        for (number, question) in open where question.gateway != gateway { close(number, .unavailable) }
    }

    private func close(_ number: UInt64, _ answer: GatewayAnswer) {
        guard let question = open.removeValue(forKey: number) else { return }
        if let timer = question.timer { timers.clear(timer) }
        if open.isEmpty, let watch = watch.take() { timers.clear(watch) }
        question.deliver(answer)
    }
}
