import Foundation
import Testing

@testable import SwiftServer

/// The real decisions of the manager in a simulated system, led through random schedules of faults.
///
/// `SIMULATE_COUNT` and `SIMULATE_SEED` choose how many schedules are run, and the first of their seeds.
@Suite struct SimulationTests {
    /// Seeds of schedules that have found a fault once.
    private static let failed: [UInt64] = [19, 28, 2153]

    @Test func schedulesThatFailedOncePass() {
        for seed in SimulationTests.failed { check(seed) }
    }

    @Test func randomSchedulesPass() {
        let environment = ProcessInfo.processInfo.environment
        let count = environment["SIMULATE_COUNT"].flatMap { UInt64($0) } ?? 1000
        let first = environment["SIMULATE_SEED"].flatMap { UInt64($0) } ?? 1
        var failures = 0
        for seed in first..<first + count where !check(seed) {
            failures += 1
            if failures == 5 { break }
        }
    }

    /// A seed repeats its schedule, and the course of that.
    @Test func aSeedRepeatsItsCourse() {
        for seed in UInt64(1)...20 {
            #expect(Simulation.trace(Schedule(seed: seed)) == Simulation.trace(Schedule(seed: seed)))
        }
    }

    /// Runs the schedule of a seed. One that fails is reduced to the events that it needs, and its course is shown.
    @discardableResult private func check(_ seed: UInt64) -> Bool {
        let schedule = Schedule(seed: seed)
        guard let violation = Simulation.run(schedule) else { return true }
        let reduced = schedule.reduced { Simulation.run($0) != nil }
        let course = Simulation.trace(reduced).joined(separator: "\n  ")
        Issue.record("seed \(seed): \(violation)\nThe schedule, reduced: \(reduced)\nIts course:\n  \(course)")
        return false
    }
}
