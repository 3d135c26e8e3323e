internal import CReactor
internal import Glibc

/// The main function of a worker process.
enum Worker {
    static func run(id: Int, server: Server, bus: Bus, layout: Layout, listeners: [Int32]?) -> Never {
        unsafe cre_process_set_title("\(server.processName): worker \(id)")
        Log.setRole("worker \(id)")
        cre_process_keep_memory()
        do throws(ServerError) {
            let signals = try WorkerSignals(server: server)
            let loop = try EventLoop()
            loop.becomeMainActor()
            let runtime = try WorkerRuntime(
                id: id, node: layout.node(ofWorker: id), loop: loop, bus: bus, server: server, listeners: listeners)
            server.workerID = id
            server.runtime = runtime
            try server.confinement?.enter(node: layout.node(ofWorker: id))
            signals.watch(loop, runtime.timers) { runtime.shutDown(deadline: server.settings.shutdownTimeout) }
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
