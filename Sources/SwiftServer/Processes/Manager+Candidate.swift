internal import Glibc

/// Processes that get ready while their predecessors serve.
extension Manager {
    /// A successor that gets ready while its predecessor serves.
    struct Candidate {
        let pid: Int32
        /// The time by which a new program must have reached `start()`; after that `onWorkerStart` takes long.
        var deadline: ContinuousClock.Instant
        /// Whether it runs `onWorkerStart`.
        var hasStarted: Bool
        /// Whether `onWorkerStart` takes long.
        var isOverdue = false
        var isReady = false
    }

    /// Starts a successor beside a process that it will replace.
    mutating func prepare(_ id: Int) throws(ServerError) {
        let isProgram = settings.reload == .newProgram
        let pid = try system.prepare(id, fromProgram: isProgram)
        candidate = Candidate(pid: pid, deadline: now + settings.shutdownTimeout, hasStarted: !isProgram)
    }

    /// Kills the successor, if there is one.
    mutating func dropCandidate() {
        guard let candidate else { return }
        system.send(SIGKILL, to: candidate.pid)
        system.endChannel()
        self.candidate = nil
    }

    /// Processes that were not replaced yet continue.
    mutating func abortReload(_ cause: String) {
        dropCandidate()
        system.log(.error, "the reload is aborted, running workers continue: \(cause)")
        endReload(.reloadAborted)
    }
}
