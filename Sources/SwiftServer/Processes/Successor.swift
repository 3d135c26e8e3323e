internal import CReactor
internal import CReactorInternal

/// A process that was started from a new program to replace one of a running server.
///
/// Its `main` runs like that of the first one, up to `start()`. It gets ready, reports so, and waits until the manager
/// lets it begin: its predecessor serves until then, and keeps serving when it fails.
enum Successor {
    static func run(_ handover: Handover, _ startup: Startup) throws(ServerError) -> Never {
        cre_process_end_with_parent(handover.manager)
        let control = handover.control >= 0 ? ControlChannel(descriptor: handover.control) : nil
        let context: ServerContext
        do throws(ServerError) { context = try startup.prepare() } catch {
            if let control { control.fail(error.message) } else { Log.error(error.message) }
            throw error
        }
        if let control {
            guard control.waitForPermission() else { ProcessEnd.exit(0) }
            control.end()
        }
        WorkerProcess.run(handover.id, context, listeners: startup.listeners?.ofWorker(handover.id))
    }
}
