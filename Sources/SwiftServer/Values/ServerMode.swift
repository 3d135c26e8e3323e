/// The division of work among the processes of a server.
public enum ServerMode: String, Sendable, CaseIterable {
    /// The master owns the sockets, and its reactor threads do all protocol work; workers run the handlers. A worker
    /// can crash or be replaced without losing a connection.
    case process
    /// Each worker owns its sockets: the fastest mode, but a connection ends with its worker.
    case base
    /// Everything in one process, for debugging and tests: nothing is forked, and breakpoints work everywhere. Threads
    /// may run before it starts, several such servers may run one after the other in a program, and nobody replaces the
    /// process: settings that need workers (``Settings/workerCount`` above 1, ``Settings/maxRequests``,
    /// ``Settings/maxTasks``, ``Settings/stuckAfter``, ``Settings/killsStuck``, ``Settings/taskTimeout``,
    /// ``Settings/reload``) are errors of the start.
    case single
}
