import Testing

@testable import SwiftServer

/// Places of processes, and the delay of their next start. Time is an argument.
@Suite struct SeatTests {
    private let start = ContinuousClock.now

    private func seat() -> Seat { Seat(id: 0, role: .worker, at: start) }

    @Test func aNewSeatIsDueAtOnce() {
        let seat = seat()
        #expect(seat.isEmpty && seat.startAt == start)
    }

    @Test func anOccupiedSeatIsNotDue() {
        var seat = seat()
        seat.stuckSince = 7
        seat.occupy(by: 42, at: start)
        #expect(!seat.isEmpty && seat.pid == 42 && seat.startAt == nil && seat.stuckSince == nil)
    }

    @Test func looksAreCountedWhileThereAreNoTurns() {
        var seat = seat()
        let interval = Duration.seconds(1)
        func looks(_ turns: UInt64, after time: Double) -> Int {
            seat.looks(at: turns, start + .seconds(time), every: interval)
        }
        #expect(looks(7, after: 0) == 0)
        #expect(looks(7, after: 0.9) == 0)
        #expect(looks(7, after: 1) == 1)
        #expect(looks(7, after: 1.5) == 1)
        // A long time without a look is one: perhaps nobody ran.
        #expect(looks(7, after: 100) == 2)
        #expect(looks(8, after: 200) == 0)
        #expect(looks(8, after: 201) == 1)
        seat.occupy(by: 42, at: start)
        #expect(looks(8, after: 300) == 0)
    }

    @Test func anOrderlyEndIsNotDelayed() {
        var seat = seat()
        seat.occupy(by: 42, at: start)
        #expect(seat.vacate(orderly: true, at: start) == false)
        #expect(seat.isEmpty && seat.startAt == start)
    }

    @Test func aCrashAfterASecondIsNotDelayed() {
        var seat = seat()
        seat.occupy(by: 42, at: start)
        let end = start + Seat.failsWithin
        #expect(seat.vacate(orderly: false, at: end) == false)
        #expect(seat.startAt == end)
    }

    @Test func repeatedFailuresAreDelayedTwiceAsLongUpToALimit() {
        var seat = seat()
        var now = start
        var delays: [Duration] = []
        for _ in 0..<10 {
            seat.occupy(by: 42, at: now)
            now += .milliseconds(999)
            #expect(seat.vacate(orderly: false, at: now) == true)
            let next = seat.startAt ?? now
            delays.append(next - now)
            now = next
        }
        #expect(delays.map(\.milliseconds) == [100, 200, 400, 800, 1600, 3200, 5000, 5000, 5000, 5000])
    }

    @Test func aProcessThatLivesEndsTheDelays() {
        var seat = seat()
        seat.occupy(by: 1, at: start)
        #expect(seat.vacate(orderly: false, at: start) == true)
        seat.occupy(by: 2, at: start)
        #expect(seat.vacate(orderly: false, at: start + .seconds(2)) == false)
        seat.occupy(by: 3, at: start + .seconds(2))
        #expect(seat.vacate(orderly: false, at: start + .seconds(2)) == true)
        #expect(seat.startAt == start + .seconds(2) + .milliseconds(100))
    }

    @Test func aStartThatFailsIsDelayed() {
        var seat = seat()
        seat.delay(at: start)
        seat.delay(at: start)
        #expect(seat.startAt == start + .milliseconds(200))
    }
}
