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

/// The order and the deadlines of a stop.
@Suite struct StopSequenceTests {
    private let start = ContinuousClock.now
    private let custom = Role.user("extra")

    private func stop(_ alive: [Role], closesConnections: Bool = false) -> StopSequence {
        var stop = StopSequence(at: start, timeout: .seconds(8), closesConnections: closesConnections)
        stop.begin(alive, at: start)
        return stop
    }

    @Test func rolesEndOneAfterTheOther() {
        var stop = stop([.worker, .taskWorker, custom])
        #expect(stop.includes(.worker) && !stop.includes(.taskWorker) && !stop.includes(custom))
        #expect(stop.advance(alive: [.worker, .taskWorker, custom], at: start) == false)
        #expect(stop.advance(alive: [.taskWorker, custom], at: start) == true)
        #expect(!stop.includes(.worker) && stop.includes(.taskWorker) && !stop.includes(custom))
        #expect(stop.advance(alive: [custom], at: start) == true)
        #expect(stop.includes(custom) && !stop.isOver)
        #expect(stop.advance(alive: [], at: start) == true)
        #expect(stop.isOver && !stop.includes(custom))
    }

    @Test func rolesWithoutProcessesAreSkipped() {
        var stop = stop([custom])
        #expect(stop.advance(alive: [custom], at: start) == true)
        #expect(stop.includes(custom) && stop.deadline == start + .seconds(8))
    }

    @Test func theOnlyStageHasAllOfTheTime() {
        #expect(stop([.worker]).deadline == start + .seconds(8))
        #expect(stop([.worker], closesConnections: true).deadline == start + .seconds(8))
    }

    @Test func aStageLeavesTimeForThoseBehindIt() {
        var stop = stop([.worker, .taskWorker, custom])
        #expect(stop.deadline == start + .seconds(4))
        #expect(stop.advance(alive: [.taskWorker, custom], at: start + .seconds(4)) == true)
        #expect(stop.deadline == start + .seconds(6))
        #expect(stop.advance(alive: [custom], at: start + .seconds(6)) == true)
        #expect(stop.deadline == start + .seconds(8))
    }

    @Test func timeThatAStageDoesNotUseIsLeftToTheOthers() {
        var stop = stop([.worker, .taskWorker, custom])
        #expect(stop.advance(alive: [.taskWorker, custom], at: start) == true)
        #expect(stop.deadline == start + .seconds(4))
        #expect(stop.advance(alive: [custom], at: start + .seconds(1)) == true)
        #expect(stop.deadline == start + .seconds(8))
    }

    @Test func workersThatOwnTheConnectionsHaveMostOfTheTime() {
        var stop = stop([.worker, .taskWorker, custom], closesConnections: true)
        #expect(stop.deadline == start + .seconds(6))
        #expect(stop.advance(alive: [.taskWorker, custom], at: start + .seconds(6)) == true)
        #expect(stop.deadline == start + .seconds(7))
    }

    @Test func processesEndByThemselvesBeforeTheyAreKilled() {
        #expect(stop([.worker]).limit(at: start) == .seconds(7))
        #expect(stop([.worker, .taskWorker]).limit(at: start) == .seconds(3))
        #expect(StopSequence.ownLimit(of: .seconds(1)) == .milliseconds(750))
        #expect(StopSequence.ownLimit(of: .zero) == .milliseconds(1))
        #expect(StopSequence.ownLimit(of: .seconds(-1)) == .milliseconds(1))
    }

    @Test func noStageHasLessThanNoTime() {
        for isFirst in [true, false] {
            for isLast in [true, false] {
                #expect(StopSequence.share(of: .seconds(-1), isFirst: isFirst, isLast: isLast) == .zero)
            }
        }
    }

    @Test func eachStageKillsOnce() {
        var stop = stop([.worker, .taskWorker])
        #expect(stop.mustKill(at: start + .milliseconds(3999)) == false)
        #expect(!stop.isKilling)
        #expect(stop.mustKill(at: start + .seconds(4)) == true)
        #expect(stop.isKilling)
        #expect(stop.mustKill(at: start + .seconds(5)) == false)
        #expect(stop.advance(alive: [.taskWorker], at: start + .seconds(5)) == true)
        #expect(!stop.isKilling)
        #expect(stop.mustKill(at: start + .seconds(7)) == false)
        #expect(stop.mustKill(at: start + .seconds(8)) == true)
    }
}
