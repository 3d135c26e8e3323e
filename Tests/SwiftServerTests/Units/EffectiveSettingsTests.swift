import Testing

@testable import SwiftServer

/// Settings as they can be read back after the start.
@Suite struct EffectiveSettingsTests {
    @Test func valuesThatDependOnOthers() {
        var settings = Settings()
        settings.workerCount = 3
        settings.maxRequests = 100
        settings.maxQueue = 80_000
        settings.heartbeatCheckInterval = .seconds(5)
        settings.pingInterval = .seconds(7)
        let process = settings.effective(mode: .process)
        #expect(process.workerCount == 3 && process.reactorCount == settings.reactors(mode: .process))
        #expect(process.maxRequestsGrace == 50 && process.maxTasksGrace == 0)
        #expect(process.highWatermark == 40_000 && process.lowWatermark == 10_000)
        #expect(process.heartbeatIdleTime == .seconds(10) && process.pongTimeout == .seconds(7))
        #expect(process.memoryBudget ?? 0 > 0)
        let single = settings.effective(mode: .single)
        #expect(single.workerCount == 1 && single.reactorCount == 0)
    }

    @Test func valuesThatWereSetStay() {
        var settings = Settings()
        settings.reactorCount = 2
        settings.maxRequestsGrace = 1
        settings.lowWatermark = 17
        settings.memoryBudget = 1 << 25
        let effective = settings.effective(mode: .process)
        #expect(effective.reactorCount == 2 && effective.maxRequestsGrace == 1 && effective.lowWatermark == 17)
        #expect(effective.memoryBudget == 1 << 25)
    }
}
