import Testing

@testable import SwiftServer

/// The orderly end of a worker, without a worker: its actions and questions are recorded, and tests control the time.
@Suite struct DrainTests {
    private final class Worker {
        var calls: [String] = []
        var load = Drain.Load()
        var posted: [() -> Void] = []
        var timers: [(delay: Duration, run: () -> Void)] = []
        var step: () -> Void = {}
        var ownsSockets = false
        var connectionsClosed: () -> Void = {}
        var isLinkBusy = false
        var isServerStopping = false
        var hasStopped: Bool { calls.last == "stop" }

        func drain(finishesAll: Bool = true) -> Drain {
            Drain(
                name: "worker 0", finishesAll: finishesAll, deadline: .seconds(10),
                isServerStopping: { self.isServerStopping },
                actions: Drain.Actions(
                    begin: { self.calls.append("begin \($0)") }, post: { self.posted.append($0) },
                    after: { self.timers.append(($0, $1)) }, notify: { self.calls.append("notify") },
                    clearTimers: { self.calls.append("clear") }, load: { self.load }, watch: { self.step = $0 },
                    closeConnections: {
                        self.calls.append("close \($0)")
                        self.connectionsClosed = $1
                        return self.ownsSockets
                    }, isLinkBusy: { self.isLinkBusy }, stop: { self.calls.append("stop") }))
        }

        /// The next turn of the loop.
        func turn() {
            let all = posted
            posted = []
            for run in all { run() }
        }

        /// Fires the timers of this delay.
        func fire(_ delay: Duration) {
            let due = timers.filter { $0.delay == delay }
            timers.removeAll { $0.delay == delay }
            for timer in due { timer.run() }
        }
    }

    @Test func anIdleWorkerEndsInTheNextTurn() {
        let worker = Worker()
        let drain = worker.drain()
        #expect(!drain.isDraining)
        drain.start(.requested)
        #expect(drain.isDraining && worker.calls == ["begin requested"])
        worker.turn()
        #expect(worker.calls == ["begin requested", "clear", "close 10.0 seconds", "stop"])
    }

    @Test func itBeginsOnce() {
        let worker = Worker()
        let drain = worker.drain()
        drain.start(.quota)
        drain.start(.stopped)
        #expect(worker.calls == ["begin quota"] && worker.posted.count == 1)
    }

    @Test func aLimitReplacesTheDeadline() {
        let worker = Worker()
        worker.load.requests = 1
        let drain = worker.drain()
        drain.start(.requested, within: .seconds(3))
        worker.turn()
        #expect(worker.calls.contains("close 3.0 seconds") && !worker.hasStopped)
        worker.fire(.seconds(3))
        #expect(worker.hasStopped)
    }

    /// The server stops while a worker is being replaced.
    @Test func aDrainInProgressGetsAnEarlierLimit() {
        let worker = Worker()
        worker.load.requests = 1
        let drain = worker.drain()
        drain.start(.requested)
        worker.turn()
        drain.start(.requested, within: .seconds(2))
        #expect(!worker.hasStopped)
        worker.fire(.seconds(2))
        #expect(worker.hasStopped)
    }

    static let holds: [@Sendable (inout Drain.Load) -> Void] = [
        { $0.requests = 1 }, { $0.suspendedHandlers = 1 }, { $0.postedTasks = 1 }, { $0.isOnTask = true },
        { $0.timers = 1 },
    ]

    @Test(arguments: holds.indices) func workInProgressIsFinished(_ index: Int) {
        let worker = Worker()
        DrainTests.holds[index](&worker.load)
        let drain = worker.drain()
        drain.start(.requested)
        worker.turn()
        #expect(worker.calls.contains("notify") && !worker.hasStopped)
        worker.step()
        #expect(!worker.hasStopped)
        worker.load = Drain.Load()
        worker.step()
        #expect(worker.hasStopped)
        _ = drain
    }

    @Test func timersThatAreClearedAreAnnounced() {
        let worker = Worker()
        worker.load.hasTimers = true
        let drain = worker.drain()
        drain.start(.requested)
        worker.turn()
        #expect(worker.calls == ["begin requested", "notify", "clear", "close 10.0 seconds", "stop"])
        _ = drain
    }

    @Test func theDeadlineEndsTheWait() {
        let worker = Worker()
        worker.load.requests = 1
        let drain = worker.drain()
        drain.start(.requested)
        worker.turn()
        #expect(!worker.hasStopped && worker.timers.map(\.delay) == [.seconds(10)])
        worker.fire(.seconds(10))
        #expect(worker.hasStopped)
        _ = drain
    }

    @Test func ownConnectionsAreClosedFirst() {
        let worker = Worker()
        worker.ownsSockets = true
        let drain = worker.drain()
        drain.start(.requested)
        worker.turn()
        worker.step()
        #expect(!worker.hasStopped)
        worker.connectionsClosed()
        #expect(worker.hasStopped)
        _ = drain
    }

    @Test func aBusyLinkIsCheckedAgain() {
        let worker = Worker()
        worker.isLinkBusy = true
        let drain = worker.drain()
        drain.start(.requested)
        worker.turn()
        worker.fire(Drain.linkInterval)
        #expect(!worker.hasStopped && worker.timers.contains { $0.delay == Drain.linkInterval })
        worker.isLinkBusy = false
        worker.fire(Drain.linkInterval)
        #expect(worker.hasStopped)
        _ = drain
    }

    @Test func aCustomProcessAwaitsResultsOnly() {
        let worker = Worker()
        worker.load = Drain.Load(requests: 1, suspendedHandlers: 1, postedTasks: 1, isOnTask: true)
        let drain = worker.drain(finishesAll: false)
        drain.start(.requested)
        worker.turn()
        #expect(!worker.hasStopped)
        worker.load.postedTasks = 0
        worker.step()
        #expect(worker.hasStopped)
        _ = drain
    }

    @Test func aCustomProcessOfAStoppingServerAwaitsNothing() {
        let worker = Worker()
        worker.load.postedTasks = 1
        worker.isServerStopping = true
        let drain = worker.drain(finishesAll: false)
        drain.start(.requested)
        worker.turn()
        #expect(worker.hasStopped)
        _ = drain
    }
}
