import Testing

@testable import SwiftServer

/// Timers without a loop, at a time that the test sets.
@Suite struct PendingTimersTests {
    private final class Clock {
        let start = ContinuousClock.now
        var passed = Duration.zero
        private(set) lazy var timers = Timers(loop: nil) { [unowned self] in start.advanced(by: passed) }

        /// The fired timers, as the test has named them.
        var fired: [String] = []

        func advance(to time: Duration) {
            passed = time
            timers.fireDue()
        }
    }

    @Test func timersFireInTheOrderOfTheirTimes() {
        let clock = Clock()
        _ = clock.timers.start(after: .seconds(3), every: nil) { _ in clock.fired.append("late") }
        _ = clock.timers.start(after: .seconds(1), every: nil) { _ in clock.fired.append("early") }
        _ = clock.timers.start(after: .seconds(1), every: nil) { _ in clock.fired.append("same") }
        #expect(clock.timers.nextDue == clock.start.advanced(by: .seconds(1)))
        clock.advance(to: .milliseconds(999))
        #expect(clock.fired == [])
        clock.advance(to: .seconds(3))
        #expect(clock.fired == ["early", "same", "late"] && clock.timers.count == 0)
        #expect(clock.timers.nextDue == nil)
    }

    @Test func missedRoundsAreSkipped() {
        let clock = Clock()
        _ = clock.timers.start(after: .seconds(1), every: .seconds(1)) { _ in clock.fired.append("tick") }
        clock.advance(to: .milliseconds(1500))
        #expect(clock.timers.nextDue == clock.start.advanced(by: .seconds(2)))
        clock.advance(to: .seconds(10))
        #expect(clock.fired == ["tick", "tick"])
        #expect(clock.timers.nextDue == clock.start.advanced(by: .seconds(11)))
        clock.advance(to: .milliseconds(13_700))
        #expect(clock.fired.count == 3)
        #expect(clock.timers.nextDue == clock.start.advanced(by: .seconds(14)), "at a fixed rate")
    }

    @Test func timersClearThemselvesAndOthers() {
        let clock = Clock()
        var empty = 0
        clock.timers.whenEmpty = { empty += 1 }
        let other = clock.timers.start(after: .seconds(2), every: nil) { _ in clock.fired.append("other") }
        _ = clock.timers.start(after: .seconds(1), every: .seconds(1)) { id in
            clock.fired.append("tick")
            #expect(clock.timers.clear(other) && clock.timers.clear(id) && !clock.timers.clear(id))
        }
        clock.advance(to: .seconds(5))
        #expect(clock.fired == ["tick"] && clock.timers.count == 0 && empty > 0)
    }
}
