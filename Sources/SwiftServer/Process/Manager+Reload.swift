internal import Glibc

extension Manager {
    /// A reload that is under way: the processes are replaced one after the other, so that there is always one to serve.
    struct Reload {
        enum Scope {
            case all
            case taskWorkers
        }

        /// The first of them is being replaced.
        var seats: [Int] = []
        /// The pid of the process that is being replaced.
        var leaving: Int32 = 0
        var deadline = ContinuousClock.now
        var isUnderWay: Bool { !seats.isEmpty }
    }

    mutating func begin(_ scope: Reload.Scope) {
        guard !reload.isUnderWay, !isStopping else {
            Log.warning("a reload or a stop is under way; this one is ignored")
            return
        }
        let chosen = seats.indices.filter {
            seats[$0].role == .taskWorker || (scope == .all && seats[$0].role == .worker)
        }
        guard !chosen.isEmpty else {
            Log.warning("there are no task workers to reload")
            return
        }
        Log.notice("reloading \(chosen.count) \(scope == .all ? "workers" : "task workers")")
        server.handlers.beforeReload?(server)
        reload.seats = chosen
        replaceFirst()
    }

    private mutating func replaceFirst() {
        guard let id = reload.seats.first else { return }
        reload.leaving = seats[id].pid
        reload.deadline = .now + server.settings.shutdownTimeout + .seconds(1)
        if reload.leaving > 0 { kill(reload.leaving, Signals.stop) }
    }

    mutating func stepReload() {
        guard let id = reload.seats.first, !isStopping else { return }
        let pid = seats[id].pid
        if pid > 0, pid == reload.leaving, ContinuousClock.now >= reload.deadline {
            Log.warning("\(layout.name(of: id)) (pid \(pid)) did not stop in time for the reload and is killed")
            kill(pid, SIGKILL)
            reload.deadline = .now + .seconds(60)
        }
        guard pid > 0, pid != reload.leaving, bus.pid(ofNode: layout.node(of: id)) == pid else { return }
        reload.seats.removeFirst()
        guard reload.seats.isEmpty else { return replaceFirst() }
        Log.notice("all workers are reloaded")
        server.handlers.afterReload?(server)
    }
}

// MARK: - Processes that hang

extension Manager {
    /// How often processes are looked at; `nil`: never.
    var stuckInterval: Duration? {
        let limits = [server.settings.stuckAfter, server.settings.taskTimeout].compactMap { $0 }
        return limits.min().map { max(.milliseconds(5), $0 / 4) }
    }

    /// Code that does not return holds up everything else in its process, and only the manager can tell.
    mutating func watchStuck() {
        for index in seats.indices where !seats[index].isEmpty && seats[index].role.isManaged {
            let activity = Activity(bus, node: layout.node(of: seats[index].id))
            guard activity.isRunning else {
                seats[index].stuckSince = nil
                continue
            }
            let isTask = activity.isOnTask
            guard let limit = isTask ? server.settings.taskTimeout : server.settings.stuckAfter,
                activity.runningFor >= limit
            else { continue }
            let kills = isTask || server.settings.killsStuck
            // Once for each callback, unless it must die.
            guard kills || seats[index].stuckSince != activity.served else { continue }
            seats[index].stuckSince = activity.served
            Log.warning(
                "\(layout.name(of: seats[index].id)) (pid \(seats[index].pid)) has been\(activity.place) for "
                    + "\(activity.runningFor)\(kills ? " and is killed" : "")")
            if kills { kill(seats[index].pid, SIGKILL) }
        }
    }
}
