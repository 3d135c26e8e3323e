import Testing

@testable import SwiftServer

/// The order and the deadlines of a reload. Time is an argument.
@Suite struct ReloadSequenceTests {
    private let start = ContinuousClock.now
    private let timeout: Duration = .seconds(10)

    @Test func seatsFollowEachOther() {
        var reload = ReloadSequence([3, 5])
        #expect(reload.isUnderWay && reload.current == 3)
        reload.begin(replacing: 42)
        #expect(reload.leaving == 42)
        reload.advance()
        #expect(reload.isUnderWay && reload.current == 5)
        reload.advance()
        #expect(!reload.isUnderWay && reload.current == nil)
    }

    @Test func nobodyIsKilledBeforeTheDeadline() {
        var reload = ReloadSequence([0])
        reload.begin(replacing: 42)
        #expect(reload.mustKill(at: start + .seconds(3600)) == false)  // it was not asked to end
        reload.dismiss(at: start, timeout: timeout)
        #expect(reload.mustKill(at: start + .milliseconds(10_999)) == false)
        #expect(reload.mustKill(at: start + .seconds(11)) == true)
    }

    @Test func aKillIsRepeatedAfterAMinuteOnly() {
        var reload = ReloadSequence([0])
        reload.begin(replacing: 42)
        reload.dismiss(at: start, timeout: timeout)
        let deadline = start + .seconds(11)
        #expect(reload.mustKill(at: deadline) == true)
        #expect(reload.mustKill(at: deadline + .seconds(59)) == false)
        #expect(reload.mustKill(at: deadline + .seconds(60)) == true)
    }

    @Test func anEmptySeatHasNobodyToKill() {
        var reload = ReloadSequence([0])
        reload.begin(replacing: 0)
        reload.dismiss(at: start, timeout: timeout)
        #expect(reload.mustKill(at: start + .seconds(60)) == false)
    }

    @Test func theNextSeatHasADeadlineOfItsOwn() {
        var reload = ReloadSequence([0, 1])
        reload.begin(replacing: 42)
        reload.dismiss(at: start, timeout: timeout)
        reload.advance()
        reload.begin(replacing: 43)
        #expect(reload.mustKill(at: start + .seconds(60)) == false)
        reload.dismiss(at: start + .seconds(60), timeout: timeout)
        #expect(reload.mustKill(at: start + .seconds(70)) == false)
        #expect(reload.mustKill(at: start + .seconds(71)) == true)
    }

    @Test func threeFailuresInARowAbortIt() {
        var reload = ReloadSequence([0, 1])
        let first = (0..<2).map { _ in reload.fail() }
        reload.advance()
        let second = (0..<3).map { _ in reload.fail() }
        #expect(first == [false, false] && second == [false, false, true])
    }
}

/// The order and the deadline of a stop.
@Suite struct StopSequenceTests {
    private let start = ContinuousClock.now

    @Test func rolesEndOneAfterTheOther() {
        var stop = StopSequence(at: start, timeout: .seconds(10))
        let custom = Role.user("extra")
        #expect(stop.includes(.worker) && !stop.includes(.taskWorker) && !stop.includes(custom))
        #expect(stop.advance(alive: [.worker, .taskWorker, custom]) == false)
        #expect(stop.advance(alive: [.taskWorker, custom]) == true)
        #expect(!stop.includes(.worker) && stop.includes(.taskWorker) && !stop.includes(custom))
        #expect(stop.advance(alive: [custom]) == true)
        #expect(stop.includes(custom) && !stop.isOver)
        #expect(stop.advance(alive: []) == true)
        #expect(stop.isOver && !stop.includes(custom))
    }

    @Test func rolesWithoutProcessesAreSkipped() {
        var stop = StopSequence(at: start, timeout: .seconds(10))
        #expect(stop.advance(alive: [.user("extra")]) == true)
        #expect(stop.includes(.user("extra")))
    }

    @Test func theDeadlineKillsOnce() {
        var stop = StopSequence(at: start, timeout: .seconds(10))
        #expect(stop.deadline == start + .seconds(11))
        #expect(stop.mustKill(at: start + .milliseconds(10_999)) == false)
        #expect(!stop.isKilling)
        #expect(stop.mustKill(at: start + .seconds(11)) == true)
        #expect(stop.isKilling)
        #expect(stop.mustKill(at: start + .seconds(12)) == false)
    }
}
