internal import CReactor
internal import Glibc

/// The main function of a worker process.
enum Worker {
    static func run(id: Int, server: Server, bus: Bus, layout: Layout, listeners: [Int32]?) -> Never {
        unsafe cre_process_set_title("\(server.processName): worker \(id)")
        cre_process_keep_memory()
        do throws(ServerError) {
            // Stopping is the manager's to say; Ctrl-C in a terminal goes to every process and must not say it here.
            let signals = try Signals([SIGTERM, SIGINT, SIGUSR1, SIGUSR2, SIGHUP])
            let loop = try EventLoop()
            loop.becomeMainActor()
            let runtime = try WorkerRuntime(
                id: id, node: layout.node(ofWorker: id), loop: loop, bus: bus, server: server, listeners: listeners)
            server.workerID = id
            server.runtime = runtime
            var isStopping = false
            loop.watch(signals.descriptor) {
                let pending = signals.pending()
                if pending.contains(SIGHUP) { server.reloadCertificates() }
                guard pending.contains(SIGTERM), !isStopping else { return }
                isStopping = true
                runtime.shutDown(deadline: server.settings.shutdownTimeout)
            }
            server.handlers.workerStart?(runtime)
            loop.run()
            server.handlers.workerStop?(runtime)
            runtime.closeLink()
        } catch {
            Log.error("worker \(id) cannot start: \(error.message)")
            cre_process_exit(1)
        }
        cre_process_exit(0)
    }
}
