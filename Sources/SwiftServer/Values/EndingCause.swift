/// The cause of an orderly end of a worker, as the manager reads it from shared memory.
enum EndingCause: UInt32 {
    /// The manager requested it.
    case requested = 1
    /// The worker has reached ``Settings/maxRequests`` or ``Settings/maxTasks``.
    case quota = 2
    /// ``Server/stop(worker:)`` was called.
    case stopped = 3
}
