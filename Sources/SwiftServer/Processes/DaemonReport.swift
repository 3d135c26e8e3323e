internal import CReactor
internal import CReactorInternal

/// The connection of a server in the background to the process that was started, which waits for the result.
struct DaemonReport {
    /// Children must close it: the waiting process must notice the master's death.
    private(set) var descriptor: Int32?

    /// Continues in a background process. The caller's process waits and exits; this returns in another one.
    mutating func detach(log: LogFile?) throws(ServerError) {
        let result = cre_daemon_start(log?.descriptor ?? -1)
        guard result >= 0 else { throw .system("cannot start in the background", result) }
        descriptor = result
    }

    /// Reports the success of the start, or its failure. Only the first report counts.
    mutating func report(_ failure: ServerError?) {
        guard let descriptor else { return }
        if let failure {
            unsafe cre_daemon_report(descriptor, failure.message)
        } else {
            cre_daemon_report(descriptor, nil)
        }
        self.descriptor = nil
    }
}
