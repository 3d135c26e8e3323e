internal import CReactor
internal import CReactorInternal

/// Events that cannot be served yet. Where another process owns the sockets they are kept in shared memory, so they
/// outlive this process; where this one does, its connections do not outlive it either.
extension WorkerLink {
    /// The ticket of a deferred event; 0: the event is not kept, and is lost with this process.
    typealias Ticket = UInt32

    /// Keeps the event that is being delivered, up to ``drop(_:)``.
    func deferEvent() -> Ticket { ownsSockets ? 0 : unsafe cre_worker_defer(raw) }

    /// Drops a deferred event: its handler is about to be called.
    @inline(__always) func drop(_ ticket: Ticket) { if ticket != 0 { unsafe cre_worker_drop_deferred(raw, ticket) } }

    /// Delivers a deferred event again.
    func deliver(_ ticket: Ticket) { unsafe cre_worker_serve_deferred(raw, ticket) }

    /// Notes for successors of this process that callbacks serve the connection.
    func noteCallbacks(_ fd: ConnectionID) { unsafe cre_worker_mark(raw, fd.rawValue) }

    /// Whether this process or a predecessor has noted that callbacks serve the connection.
    func hasCallbacks(_ fd: ConnectionID) -> Bool { unsafe cre_worker_marked(raw, fd.rawValue) }

    /// Leaves all further events of connections to the successor of this process, except those that `keeps` chooses.
    func leave() { unsafe cre_worker_leave(raw) }
}
