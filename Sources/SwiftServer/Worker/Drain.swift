internal import CReactor
internal import CReactorInternal

/// The orderly end of a worker: nothing new is begun, what was begun is finished, and then its loop stops.
@safe final class Drain: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    /// Why it ends, for the manager.
    enum Cause: UInt32 {
        /// The manager said so.
        case told = 1
        /// It has served as much as it may; see ``Settings/maxRequests``.
        case served = 2
        /// ``Server/stop(worker:)``.
        case asked = 3
    }

    private unowned let runtime: WorkerRuntime
    /// How many requests were taken and not answered yet.
    private(set) var openRequests = 0
    private(set) var isDraining = false
    private var hasConnections = false

    init(runtime: WorkerRuntime) { self.runtime = runtime }

    func requestTaken() { openRequests += 1 }

    func requestAnswered() {
        openRequests -= 1
        step()
    }

    /// Stops the loop when everything that was begun is finished, at the latest after `deadline`. Connections of this
    /// worker's own are closed, and events that it has not read are left to its successor.
    func start(_ cause: Cause) {
        guard !isDraining else { return }
        isDraining = true
        unsafe cre_worker_ending(runtime.worker, cause.rawValue)
        unsafe cre_worker_deafen(runtime.worker)
        runtime.loop.post { [self] in go() }
    }

    private func go() {
        let deadline = runtime.server.settings.shutdownTimeout
        if isHeld || runtime.timers.hasUsers { runtime.server.handlers.workerExit?(runtime) }
        let dropped = runtime.timers.clearUsers()
        if dropped > 0 { Log.debug("\(runtime.name) ends, and with it \(dropped) timers") }
        runtime.lanes.runners.whenIdle = { [unowned self] in step() }
        runtime.timers.whenFewer = { [unowned self] in step() }
        _ = runtime.timers.start(after: deadline, every: nil) { [unowned self] _ in
            Log.warning("\(runtime.name) did not finish in time and stops with \(whatHolds)")
            stop()
        }
        if let engine = unsafe cre_worker_engine(runtime.worker) {
            hasConnections = true
            unsafe cre_engine_shutdown(
                engine, UInt32(deadline.milliseconds),
                { context in
                    unsafe Unmanaged<Drain>.fromOpaque(context!)._withUnsafeGuaranteedRef {
                        $0.hasConnections = false
                        $0.step()
                    }
                }, Unmanaged.passUnretained(self).toOpaque())
        } else {
            runtime.cutBodies()
        }
        step()
    }

    /// Something is there that must be finished before the end.
    private var isHeld: Bool {
        guard runtime.role.isManaged else { return awaitsResults }
        return openRequests > 0 || runtime.lanes.runners.suspended > 0 || runtime.desk.outstanding > 0
            || runtime.isOnTask
    }

    /// Of a process of the user's own, whose code may be suspended for as long as it lives: that is what it is there for.
    /// When the server stops, task workers have ended before: what has not come by then never will.
    private var awaitsResults: Bool {
        runtime.desk.outstanding > 0 && runtime.server.orders?.stopping.isRaised != true
    }

    private var whatHolds: String {
        let parts = [
            (openRequests, "requests unanswered"), (runtime.lanes.runners.suspended, "handlers suspended"),
            (runtime.desk.outstanding, "tasks whose results have not come"), (runtime.timers.holding, "timers"),
            (hasConnections ? 1 : 0, "its connections open"),
        ]
        return parts.filter { $0.0 > 0 }.map { "\($0.0) \($0.1)" }.joined(separator: ", ")
    }

    /// Something was finished: perhaps it was the last.
    func step() {
        guard isDraining, !hasConnections, !isHeld, runtime.timers.holding == 0 else { return }
        guard unsafe !cre_worker_congested(runtime.worker), unsafe !cre_worker_receiving(runtime.worker) else {
            // What was sent last still waits for room in a ring, or a large record has come in part. That passes by
            // itself, the deadline permitting.
            _ = runtime.timers.start(after: .milliseconds(5), every: nil) { [unowned self] _ in step() }
            return
        }
        stop()
    }

    private func stop() {
        runtime.loop.stop()
    }
}
