import CReactor
import Testing

@testable import SwiftServer

/// Questions to the gateway, at a time that the test sets.
@Suite struct GatewayQuestionTests {
    private final class Process {
        let start = ContinuousClock.now
        var passed = Duration.zero
        var gateway: Int32 = 1
        var result: Int32 = 0
        var asked: [UInt64] = []
        var answers: [GatewayAnswer] = []
        private(set) lazy var timers = Timers(loop: nil) { [unowned self] in start.advanced(by: passed) }
        private(set) lazy var questions = GatewayQuestions(
            GatewayQuestions.Path(
                send: { [unowned self] number, _, _ in
                    asked.append(number)
                    return result
                }, gateway: { [unowned self] in gateway }), timers: timers, loop: nil)

        func ask(_ timeout: Duration = .seconds(5)) {
            questions.ask(CRE_QUESTION_POSITION, [], timeout: timeout) { [unowned self] in answers.append($0) }
        }

        func advance(to time: Duration) {
            passed = time
            timers.fireDue()
        }

        func receive(_ number: UInt64, result: Int32 = 0, _ bytes: [UInt8], isFinal: Bool = true) {
            var record = cre_record()
            record.session = number
            record.flags = isFinal ? UInt16(CRE_RECORD_FINAL) : 0
            let head = cre_answer(result: result, reserved: 0)
            questions.receive(record, unsafe withUnsafeBytes(of: head) { unsafe [UInt8]($0) } + bytes)
        }
    }

    @Test func answersHaveOnePartOrSeveral() {
        let process = Process()
        process.ask()
        process.ask()
        #expect(process.asked.count == 2 && process.asked[0] != process.asked[1] && process.questions.count == 2)
        process.receive(process.asked[1], [1], isFinal: false)
        process.receive(process.asked[0], result: -1400, [])
        process.receive(process.asked[0], [9])  // it has its answer
        process.receive(process.asked[1], [2, 3])
        #expect(process.answers.map(\.result) == [-1400, 0])
        #expect(process.answers[1].parts == [[1], [2, 3]])
        #expect(process.questions.count == 0 && process.timers.isEmpty)
    }

    @Test func eachQuestionEnds() {
        let process = Process()
        process.ask(.seconds(1))
        process.ask(.seconds(5))
        process.advance(to: .seconds(1))
        #expect(process.answers.map(\.result) == [GatewayAnswer.unavailable.result])
        process.gateway = 0
        process.advance(to: .milliseconds(1100))
        #expect(process.answers.count == 2 && process.timers.isEmpty)
        process.receive(process.asked[0], [1])
        process.ask()
        process.questions.end()
        process.ask()
        #expect(process.answers.count == 4 && process.asked.count == 3 && process.timers.isEmpty)
        #expect(process.answers.allSatisfy { $0.result == GatewayAnswer.unavailable.result })
    }

    @Test func thereIsALimit() {
        let process = Process()
        for _ in 0..<GatewayQuestions.most { process.ask() }
        #expect(process.answers.isEmpty)
        process.ask()
        #expect(process.answers.count == 1 && process.asked.count == GatewayQuestions.most)
        process.receive(process.asked[0], [])
        process.result = CRE_EBROKER_UNAVAILABLE.rawValue
        process.ask()
        #expect(process.answers.map(\.result) == [CRE_EBROKER_UNAVAILABLE.rawValue, 0, process.result])
        process.receive(process.asked[1], [UInt8](repeating: 0, count: GatewayQuestions.mostBytes), isFinal: false)
        #expect(process.answers.count == 4)
    }

    @Test func positionsAreTexts() {
        let position = TopicPosition(epoch: 0xf3_a9c1, offset: 17)
        #expect(position.description == "17:0000000000f3a9c1")
        #expect(TopicPosition("17:0000000000f3a9c1") == position)
        for text in [
            "", ":", "17", "17:", "17:f3a9c1", "+7:0000000000f3a9c1", "17:0000000000000000",
            "1234567890123456:0000000000f3a9c1", "17:0000000000f3a9c1:", "17:000000000+f3a9c1", "1 :0000000000f3a9c1",
        ] {
            #expect(TopicPosition(text) == nil, "\(text)")
        }
    }
}
