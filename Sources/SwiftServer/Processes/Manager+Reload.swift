internal import Glibc

extension Manager {
    /// The processes that a reload replaces.
    enum ReloadScope {
        case all
        case taskWorkers
    }

    /// Begins a reload. During another one it is remembered: one more follows, however many were requested.
    mutating func begin(_ scope: ReloadScope) {
        guard !isStopping else { return }
        guard !reload.isUnderWay else {
            if nextReload == nil { system.log(.notice, "a reload is in progress; another one follows") }
            nextReload = nextReload == .all ? .all : scope
            if let candidate, candidate.isOverdue, !candidate.isReady {
                abortReload("onWorkerStart of the new \(layout.name(of: reload.current ?? 0)) has not finished")
            }
            return
        }
        let chosen = seats.indices.filter {
            seats[$0].role == .taskWorker || (scope == .all && seats[$0].role == .worker)
        }
        guard !chosen.isEmpty else {
            system.log(.warning, "there are no task workers to reload")
            return
        }
        system.log(.notice, "reloading \(chosen.count) \(scope == .all ? "workers" : "task workers")")
        system.count(.reloadBegun, of: nil)
        handlers.beforeReload?()
        reload = ReloadSequence(chosen)
        replaceCurrent()
    }

    private mutating func replaceCurrent() {
        guard let id = reload.current else { return }
        reload.begin(replacing: seats[id].pid)
        do throws(ServerError) { try prepare(id) } catch { abortReload(error.message) }
    }

    /// Asks the process that is being replaced to end.
    private mutating func dismiss() {
        reload.dismiss(at: now, timeout: settings.shutdownTimeout)
        if reload.leaving > 0 { system.send(Signals.stop, to: reload.leaving) }
    }

    mutating func stepReload() {
        guard let id = reload.current, !isStopping else { return }
        if candidate != nil, !stepCandidate(id) { return }
        let pid = seats[id].pid
        if pid == reload.leaving, reload.mustKill(at: now) {
            system.log(
                .warning, "\(layout.name(of: id)) (pid \(pid)) did not stop in time for the reload and is killed")
            system.send(SIGKILL, to: pid)
        }
        guard pid > 0, pid != reload.leaving else { return }
        guard hasStarted(id) else { return replacementIsLate(id) }
        reload.advance()
        guard !reload.isUnderWay else { return replaceCurrent() }
        system.log(.notice, "all workers are reloaded")
        endReload(.reloadEnded)
    }

    /// A replacement that was started because the successor has died does not finish its start in time. The reload must
    /// not wait for ever: another request ends it.
    private mutating func replacementIsLate(_ id: Int) {
        guard now >= seats[id].startedAt + settings.shutdownTimeout else { return }
        let name = layout.name(of: id)
        if reload.isNewlyLate() {
            system.log(
                .warning, "\(name) (pid \(seats[id].pid)) has not finished its start; another reload aborts this one")
        }
        if nextReload != nil { abortReload("another reload was requested, and \(name) has not finished its start") }
    }

    /// Reports the end of a reload, and begins the one that was requested meanwhile.
    mutating func endReload(_ result: ProcessEvent) {
        reload = ReloadSequence()
        system.count(result, of: nil)
        handlers.afterReload?()
        guard let scope = nextReload else { return }
        nextReload = nil
        begin(scope)
    }

    /// Whether the process of a seat has ended its `onWorkerStart`. That its link is open is not enough: its activity
    /// may still be the last one of its predecessor then.
    private func hasStarted(_ id: Int) -> Bool {
        let activity = activity(of: id)
        return system.pid(of: id) == seats[id].pid && activity.served > seats[id].servedBefore
            && !activity.isStarting
    }

    /// Waits until the successor is ready, and then dismisses the old process. Returns false when nothing else can be
    /// done now.
    private mutating func stepCandidate(_ id: Int) -> Bool {
        guard let candidate, !candidate.isReady else { return true }
        switch system.report() {
        case .ready:
            self.candidate?.isReady = true
            reload.begin(replacing: seats[id].pid)  // another one than at first, if that has died meanwhile
            // From here on all processes are started from the new program.
            if settings.reload == .newProgram { system.adoptProgram() }
            if seats[id].isEmpty { takeOver(id, after: reload.leaving) } else { dismiss() }
        case .failed(let cause): abortReload(cause)
        case .started:
            let deadline = now + settings.shutdownTimeout
            self.candidate?.hasStarted = true
            self.candidate?.deadline = deadline
        case .nothing: if now >= candidate.deadline { candidateIsLate(id, candidate) }
        }
        return false
    }

    /// A program that does not reach `start()` aborts the reload. `onWorkerStart` may take as long as it needs, since
    /// the old process serves meanwhile; another request ends it.
    private mutating func candidateIsLate(_ id: Int, _ candidate: Candidate) {
        guard candidate.hasStarted else { return abortReload("the new program is not ready in time") }
        guard !candidate.isOverdue else { return }
        self.candidate?.isOverdue = true
        let name = layout.name(of: id)
        system.log(
            .warning,
            """
            onWorkerStart of the new \(name) (pid \(candidate.pid)) has not finished; the old \(name) continues, and \
            another reload aborts this one
            """)
        if nextReload != nil { abortReload("another reload was requested") }
    }

    /// The successor has ended before its turn.
    mutating func candidateEnded(_ candidate: Candidate, _ end: ProcessEnd) {
        let name = reload.current.map { layout.name(of: $0) } ?? "process"
        let report = system.report()
        let hasStarted = candidate.hasStarted || report == .started
        var cause = hasStarted ? "the new \(name) (pid \(end.pid)) \(end) in onWorkerStart" : "the new program \(end)"
        if case .failed(let text) = report { cause = text }
        system.endChannel()
        self.candidate = nil  // its pid may be reused soon
        guard candidate.isReady else {
            if hasStarted, let id = reload.current { handlers.workerError?(WorkerFailure(id, name, end)) }
            return abortReload(cause)
        }
        // The old process is ending already; its replacement is started from the program file again.
        system.log(.warning, "\(cause) before it could begin; starting it again")
    }

    /// Aborts the reload when its replacements keep failing.
    mutating func replacementFailed(_ id: Int) {
        if reload.fail() { abortReload("\(layout.name(of: id)) does not start any more") }
    }

    /// Lets the successor begin, after the old process has ended.
    mutating func takeOver(_ id: Int, after pid: Int32) {
        guard let candidate, candidate.isReady, pid == reload.leaving, reload.current == id else { return }
        occupy(id, by: candidate.pid, served: activity(of: id).served)
        system.letBegin()
        system.endChannel()
        self.candidate = nil
    }
}
