internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The processes of a server.
extension Server {
    /// Ends a worker, task worker or custom process in order; it is replaced. `nil`: this one. From every process. In
    /// ``ServerMode/single``, where nobody could replace it, this is ``shutdown()``.
    ///
    /// - Returns: false when there is no such process now.
    @discardableResult
    public func stop(worker id: Int? = nil) -> Bool {
        if let runtime, id == nil || id == workerID {
            if mode == .single {
                shutdown()
                return true
            }
            runtime.loop.post { runtime.drain.start(.stopped) }
            return true
        }
        guard let id, let pid = workerPID(of: id) else { return false }
        // The pid is read from memory that workers can write, and the master may be root: it must be a child of the
        // manager.
        if runtime == nil, cre_process_parent(pid) != managerPID { return false }
        return kill(pid, SIGTERM) == 0
    }

    /// Replaces all workers, or only the task workers, like SIGUSR1 and SIGUSR2 to the master: one after the other,
    /// each when its successor has finished `onWorkerStart` and it has finished its own work in progress. During a
    /// reload the request is remembered: one more follows. From any process and thread.
    public func reload(onlyTaskWorkers: Bool = false) {
        guard let flags = context?.flags else { return }
        (onlyTaskWorkers ? flags.reloadTaskWorkers : flags.reload).raise()
    }

    /// The pid of a worker, task worker or custom process, by its number; `nil` while there is none. From every
    /// process.
    public func workerPID(of id: Int) -> Int32? {
        guard let context, (0..<context.layout.processes).contains(id) else { return nil }
        let pid = context.bus.pid(ofNode: context.layout.node(of: id))
        return pid > 0 ? pid : nil
    }

    /// The number of the custom process that was added by this name.
    public func workerID(ofProcess name: String) -> Int? {
        let layout = context?.layout ?? configuration().layout
        return layout.userProcesses.firstIndex(of: name).map { layout.workers + layout.taskWorkers + $0 }
    }

    /// The status of a worker, task worker or custom process; `nil` while there is none. From every process.
    public func workerStatus(of id: Int) -> WorkerStatus? {
        guard workerPID(of: id) != nil, let context else { return nil }
        let activity = Activity(context.bus, node: context.layout.node(of: id))
        if activity.ending != nil { return .ending }
        return activity.isRunning ? .busy : .idle
    }

    /// Renames the calling process, as `ps` shows it: "chat: front door" instead of "chat: worker 0". A title that is
    /// too long is cut; an empty one is not set. From every process of a running server, for example in `onStart`,
    /// `onManagerStart` and `onWorkerStart`. Processes that it starts or replaces later get their usual titles from
    /// ``processName``. In ``ServerMode/single`` the process keeps the name of its program.
    ///
    /// - Returns: false when it was not renamed; the log has the cause.
    @discardableResult
    public func setProcessTitle(_ title: String) -> Bool {
        let obstacle: String? =
            if title.isEmpty { "the title is empty" } else if context == nil {
                "the server does not run: set processName before start()"
            } else { mode == .single ? "in single mode the process keeps its name" : nil }
        guard let obstacle else {
            unsafe cre_process_set_title(title)
            return true
        }
        Log.warning("cannot set the title of the process: \(obstacle)")
        return false
    }

    /// The counters of the whole server, read from shared memory without asking another process. Each is as it was at
    /// the end of the last turn of the loop that counts it.
    public func stats() -> ServerStatistics { context?.statistics() ?? ServerStatistics(nil, nil) }
}
