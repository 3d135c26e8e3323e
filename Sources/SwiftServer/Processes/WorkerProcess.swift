internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The main function of every process that runs the user's code: workers, task workers and the user's own processes.
enum Worker {
    static func run(id: Int, server: Server, bus: Bus, layout: Layout, listeners: [Int32]?) -> Never {
        unsafe cre_process_set_title("\(server.processName): \(layout.name(of: id))")
        Log.setRole(layout.name(of: id))
        cre_process_keep_memory()
        do throws(ServerError) {
            let signals = try WorkerSignals(server: server)
            let loop = try EventLoop()
            loop.becomeMainActor()
            let runtime = try WorkerRuntime(
                id: id, layout: layout, loop: loop, bus: bus, server: server, listeners: listeners)
            server.workerID = id
            server.runtime = runtime
            try server.confinement?.enter(node: layout.node(of: id))
            signals.watch(loop, runtime.timers) { runtime.drain.start(.told) }
            serve(runtime)
        } catch {
            Log.error("\(layout.name(of: id)) cannot start: \(error.message)")
            cre_process_exit(1)
        }
        cre_process_exit(0)
    }

    /// From the user's first code to the last.
    static func serve(_ runtime: WorkerRuntime) {
        begin(runtime)
        runtime.loop.run()
        if runtime.role.isManaged {
            _ = unsafe cre_worker_occupied(runtime.worker, UInt32(CRE_AT_STOP))
            runtime.server.handlers.workerStop?(runtime)
        }
        runtime.closeLink()
    }

    /// The user's first code.
    private static func begin(_ runtime: WorkerRuntime) {
        _ = unsafe cre_worker_occupied(runtime.worker, UInt32(CRE_AT_START))
        if runtime.role.isManaged {
            runtime.server.handlers.workerStart?(runtime)
        } else {
            let place = runtime.id - runtime.layout.workers - runtime.layout.taskWorkers
            // Code that blocks for good never gets to the loop, where signals are read: there they end it, and what it
            // sends leaves at once.
            var term = sigset_t()
            unsafe sigemptyset(&term)
            unsafe sigaddset(&term, SIGTERM)
            unsafe sigaddset(&term, Signals.stop)
            unsafe cre_worker_immediate(runtime.worker, true)
            unsafe pthread_sigmask(SIG_UNBLOCK, &term, nil)
            runtime.server.handlers.processes[place].body(runtime)
            unsafe pthread_sigmask(SIG_BLOCK, &term, nil)
            unsafe cre_worker_immediate(runtime.worker, false)
        }
        _ = unsafe cre_worker_occupied(runtime.worker, UInt32(CRE_AT_NOTHING))
    }
}

extension Role {
    /// Whether it is told of its start and end by `onWorkerStart` and `onWorkerStop`.
    var isManaged: Bool { self == .worker || self == .taskWorker }
}
