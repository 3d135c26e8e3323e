internal import CReactor
internal import CReactorInternal

/// The process itself: its activity, its engine, its end.
extension WorkerLink {
    /// Publishes the beginning of an activity (CRE_AT_*), or its end (CRE_AT_NOTHING). Returns false inside another
    /// activity; the end must not be published then.
    @discardableResult
    func publish(activity: UInt32) -> Bool { unsafe cre_worker_set_activity(raw, activity) }

    /// Where a loop publishes that it runs a job.
    var activityDisplay: ActivityDisplay {
        unsafe ActivityDisplay(raw) { worker, activity in unsafe cre_worker_set_activity(worker, activity) }
    }

    /// Publishes that this process is ending, and leaves events to its successor, except those that the work in
    /// progress needs.
    func beginEnding(_ cause: EndingCause) {
        unsafe cre_worker_set_ending(raw, cause.rawValue)
        leave()
    }

    /// Makes each command leave at once instead of at the end of the loop's turn: for code that blocks the loop.
    func setImmediate(_ isImmediate: Bool) { unsafe cre_worker_set_immediate(raw, isImmediate) }

    /// Stops receiving for good, so that the link can be closed. Returns false while a large record has arrived in
    /// part, which would be lost.
    func endReceiving() -> Bool { unsafe cre_worker_end_receiving(raw) }

    // MARK: Engine

    /// Enables TLS for connections accepted on `port` from now on.
    func setTLS(_ context: OpaquePointer, port: Int) -> Int32 {
        unsafe cre_engine_set_tls(cre_worker_engine(raw), UInt16(port), context)
    }

    /// Serves a bound socket.
    func serve(_ listener: Int32, port: Int) -> Int32 {
        unsafe cre_engine_serve(cre_worker_engine(raw), listener, UInt16(port))
    }

    /// Takes over a connected socket, as if port `port` had accepted it. The engine closes it in any case.
    func adopt(_ descriptor: Int32, port: Int) {
        _ = unsafe cre_engine_adopt(cre_worker_engine(raw), descriptor, UInt16(port))
    }

    /// Closes the connections of this process's own engine. `done` is called once when none is left. Returns false,
    /// without a call, in a process that owns no sockets.
    func shutDownEngine(deadline: Duration, done: @escaping () -> Void) -> Bool {
        guard let engine = unsafe cre_worker_engine(raw) else { return false }
        let box = unsafe Unmanaged.passRetained(Box(done)).toOpaque()
        unsafe cre_engine_shutdown(
            engine, UInt32(deadline.milliseconds),
            { context in unsafe Unmanaged<Box>.fromOpaque(context!).takeRetainedValue().run() }, box)
        return true
    }

    private final class Box {
        let run: () -> Void
        init(_ run: @escaping () -> Void) { self.run = run }
    }
}
