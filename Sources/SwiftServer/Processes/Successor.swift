internal import CReactor
internal import CReactorInternal

/// A process that was started from a new program to replace one of a running server.
///
/// Its `main` runs like that of the first one, up to `start()`, and its `onWorkerStart` follows. Then it reports that
/// it is ready, and waits until the manager lets it begin: its predecessor serves until then, and keeps serving when it
/// fails.
enum Successor {
    static func run(_ handover: Handover, _ startup: Startup) throws(ServerError) -> Never {
        cre_process_end_with_parent(handover.manager)
        let control = handover.control >= 0 ? ControlChannel(descriptor: handover.control) : nil
        let context: ServerContext
        do throws(ServerError) { context = try startup.prepare() } catch {
            if let control { control.fail(error.message) } else { Log.error(error.message) }
            throw error
        }
        control?.reportStart()
        WorkerProcess.run(
            handover.id, context, listeners: startup.listeners?.ofWorker(handover.id), control: control)
    }
}
