import Glibc

@testable import SwiftServer

/// One schedule: a server whose manager is the real one, led through everything that the schedule holds.
///
/// Faults happen until the calm. Then a reload is requested, everything must come to rest with each place occupied, and
/// a stop must end all of it.
struct Simulation {
    private let schedule: Schedule
    private let server: SimulatedServer
    private var manager: Manager
    private var openReloads = 0
    /// When a requested stop must be complete.
    private var stopDeadline: Int?
    private var hasBeenComplete = false

    /// Milliseconds in which everything has come to rest after the calm has begun, for each process that a reload
    /// replaces: the time of a new program, its `onWorkerStart`, the end of the old process, and a delayed start.
    private var patience: Int {
        let one = 2 * schedule.shutdownTimeout + 1000 + 2 * 5000 + 2 * 6000 + 4 * schedule.lateness
        return 2 * (schedule.workers + schedule.taskWorkers + 1) * one
    }

    private init(_ schedule: Schedule, tracing: Bool) {
        self.schedule = schedule
        server = SimulatedServer(schedule, tracing: tracing)
        manager = Simulation.manager(schedule, server)
    }

    private static func manager(_ schedule: Schedule, _ server: SimulatedServer) -> Manager {
        var settings = Settings()
        settings.shutdownTimeout = .milliseconds(schedule.shutdownTimeout)
        settings.stuckAfter = schedule.stuckAfter.map { .milliseconds($0) }
        settings.killsStuck = schedule.killsStuck
        settings.reload = schedule.reloadsProgram ? .newProgram : .fork
        var handlers = ProcessHandlers()
        handlers.beforeReload = {
            server.openReloads += 1
            if server.openReloads > 1 { server.fail("a reload begins in another one") }
        }
        handlers.afterReload = {
            server.openReloads -= 1
            if server.openReloads < 0 { server.fail("a reload ends twice") }
        }
        handlers.workerError = { server.reported($0) }
        return Manager(
            server, layout: server.layout, mode: schedule.usesBase ? .base : .process, settings: settings,
            handlers: handlers)
    }

    /// Runs a schedule. Returns the promise that it breaks, if it does.
    static func run(_ schedule: Schedule) -> Violation? {
        var simulation = Simulation(schedule, tracing: false)
        simulation.run()
        return simulation.server.violation
    }

    /// What happens in a schedule, line by line.
    static func trace(_ schedule: Schedule) -> [String] {
        var simulation = Simulation(schedule, tracing: true)
        simulation.run()
        return simulation.server.trace ?? []
    }

    private mutating func run() {
        for event in schedule.events { plan(event) }
        if let time = schedule.stop {
            server.after(time) { [server] in
                server.isStopRequested = true
                server.isInterrupted = true
            }
        }
        server.after(schedule.calm) { [server] in server.calmDown() }
        let calmEnd = schedule.calm + patience
        while server.violation == nil {
            if advance() { return checkEnd() }
            guard server.isCalm, stopDeadline == nil else { continue }
            if server.time > calmEnd {
                return server.fail(
                    manager.reload.isUnderWay
                        ? "the reload does not end" : "a place stays without a process that serves")
            }
            if !server.hasRequestedReload {
                // It replaces processes that hang.
                server.hasRequestedReload = true
                server.signal(SIGUSR1)
            } else if server.isComplete, !manager.reload.isUnderWay, server.isQuiet {
                checkRest()
                server.isStopRequested = true
            }
        }
    }

    private func plan(_ event: Schedule.Event) {
        server.after(event.time) { [server] in
            guard case .killManager = event.action else { return server.perform(event.action) }
            server.isManagerKilled = true
            server.isInterrupted = true
        }
    }

    /// One turn of the manager. Returns true when it has ended.
    private mutating func advance() -> Bool {
        if server.isManagerKilled { replaceManager() }
        if server.isStopRequested, stopDeadline == nil { stop() }
        if manager.step() { return true }
        checkInvariants()
        let due = manager.nextStep.map(server.milliseconds)
        if !server.run(until: due), !server.isComplete { server.fail("nothing can happen any more") }
        server.beLate()
        for signal in server.takeSignals() { manager.handle(signal.number, signal.limit) }
        while let end = server.nextEnd() { manager.ended(end) }
        return false
    }

    private mutating func stop() {
        let limit = schedule.shutdownTimeout
        server.note("stop within \(limit) ms")
        server.isStopping = true
        // Three stages, each of which may end with a kill that is noticed late.
        stopDeadline = server.time + limit + 3 * (3 * schedule.lateness + 20)
        server.signal(Signals.stop, .milliseconds(limit))
    }

    /// The master starts another manager, which knows nothing of the first one.
    private mutating func replaceManager() {
        server.isManagerKilled = false
        server.note("the manager is killed")
        server.replaceManager()
        server.openReloads = 0
        manager = Simulation.manager(schedule, server)
        if stopDeadline != nil { stop() }
    }

    // MARK: What must be true

    private mutating func checkInvariants() {
        if let stopDeadline, server.time > stopDeadline {
            server.fail("the stop has not ended in time: \(server.living.map(server.describe))")
        }
        server.checkTurns()
        // While a reload replaces them one by one, all others serve.
        guard schedule.isGentle, stopDeadline == nil else { return }
        if server.isComplete { hasBeenComplete = true }
        if hasBeenComplete, server.servingWorkers < schedule.workers - 1 {
            server.fail("only \(server.servingWorkers) of \(schedule.workers) workers serve in a reload")
        }
    }

    /// The server rests: everything that was begun is complete.
    private func checkRest() {
        if server.openReloads != 0 { server.fail("onAfterReload is missing") }
        if server.openChannels != 0 { server.fail("a channel to a successor stays open") }
        if server.unreportedEnds != 0 { server.fail("onWorkerError is missing") }
        let ended = server.counted(.reloadEnded) + server.counted(.reloadAborted)
        if !server.wasManagerReplaced, server.counted(.reloadBegun) != ended {
            server.fail("\(server.counted(.reloadBegun)) reloads have begun, \(ended) have ended")
        }
        if schedule.isGentle, server.counted(.reloadAborted) + server.counted(.failure) > 0 {
            server.fail("a reload fails without a fault")
        }
        let living = server.living.filter { !$0.isKilled }
        if living.count != server.layout.processes { server.fail("\(living.map(server.describe)) are left") }
    }

    private func checkEnd() {
        if stopDeadline == nil { server.fail("the manager ends without a request") }
        let left = server.living.filter { !$0.isKilled }
        if !left.isEmpty { server.fail("the manager has ended, and \(left.map(server.describe)) not") }
    }
}
