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
        /// How often the process that took the place has ended right after its start.
        var failures = 0
        /// The new program, before it takes over.
        var candidate: Candidate?
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
        guard server.settings.reload == .newProgram else { return dismiss() }
        do throws(ServerError) { try prepare(id) } catch { abandonReload(error.message) }
    }

    /// Tells the process that is to be replaced to end.
    private mutating func dismiss() {
        reload.deadline = .now + server.settings.shutdownTimeout + .seconds(1)
        if reload.leaving > 0 { kill(reload.leaving, Signals.stop) }
    }

    mutating func stepReload() {
        guard let id = reload.seats.first, !isStopping else { return }
        if reload.candidate != nil, !stepCandidate(id) { return }
        let pid = seats[id].pid
        if pid > 0, pid == reload.leaving, ContinuousClock.now >= reload.deadline {
            Log.warning("\(layout.name(of: id)) (pid \(pid)) did not stop in time for the reload and is killed")
            kill(pid, SIGKILL)
            reload.deadline = .now + .seconds(60)
        }
        let node = layout.node(of: id)
        guard pid > 0, pid != reload.leaving, bus.pid(ofNode: node) == pid, !Activity(bus, node: node).isStarting
        else { return }
        reload.seats.removeFirst()
        reload.failures = 0
        guard reload.seats.isEmpty else { return replaceFirst() }
        Log.notice("all workers are reloaded")
        server.handlers.afterReload?(server)
    }

    /// Waits until the new program is ready; then the old process has to go. False: there is nothing more to do now.
    private mutating func stepCandidate(_ id: Int) -> Bool {
        guard let candidate = reload.candidate, !candidate.isReady else { return true }
        switch candidate.control.word() {
        case .ready:
            reload.candidate?.isReady = true
            reload.leaving = seats[id].pid  // not who was there at first, if that one has died meanwhile
            // From here on there is no way back to the old program for whoever must be started.
            server.orders?.renewed.raise()
            if seats[id].isEmpty { takeOver(id, after: reload.leaving) } else { dismiss() }
        case .failed(let cause): abandonReload(cause)
        case .nothing:
            if ContinuousClock.now >= candidate.deadline { abandonReload("the new program is not ready in time") }
        }
        return false
    }

    /// The new program has ended before its turn.
    mutating func candidateEnded(_ candidate: Candidate, _ end: ProcessEnd) {
        var cause = "the new program \(end)"
        if case .failed(let text) = candidate.control.word() { cause = text }
        candidate.control.end()
        reload.candidate = nil  // its pid may be another process's soon
        guard candidate.isReady else { return abandonReload(cause) }
        // The old one is on its way out: whoever is started for it comes from the program file again.
        Log.warning("\(cause) before it could begin; starting it again")
    }

    /// A reload has an end, also when what it starts does not live.
    mutating func replacementFailed(_ id: Int) {
        reload.failures += 1
        if reload.failures >= 3 { abandonReload("\(layout.name(of: id)) does not start any more") }
    }

    /// The place of the old process is empty: the new program begins.
    mutating func takeOver(_ id: Int, after pid: Int32) {
        guard let candidate = reload.candidate, candidate.isReady, pid == reload.leaving, reload.seats.first == id
        else { return }
        candidate.control.letBegin()
        candidate.control.end()
        seats[id].taken(by: candidate.pid)
        reload.candidate = nil
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
