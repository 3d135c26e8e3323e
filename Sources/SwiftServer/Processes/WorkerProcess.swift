internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The main function of every process that runs handlers: workers, task workers and custom processes.
enum WorkerProcess {
    /// Runs the process to its end. With `listeners` it owns its sockets. With `control` its predecessor still serves,
    /// and ends when this process has finished its `onWorkerStart`.
    static func run(
        _ id: Int, _ context: ServerContext, listeners: [Int32]?, control: ControlChannel? = nil
    ) -> Never {
        if context.layout.role(of: id) == .gateway { GatewayProcess.run(id, context) }
        let name = context.layout.name(of: id)
        let title = "\(context.configuration.processName): \(name)"
        unsafe cre_process_set_title(control == nil ? title : "\(title) (starting)")
        Log.begin(role: name)
        cre_process_keep_memory()
        do throws(ServerError) {
            let signals = try WorkerSignals(flags: context.flags, certificates: context.certificates, name: name)
            let loop = try EventLoop()
            loop.becomeMainActor()
            let runtime = try context.makeWorker(id, loop, listeners: listeners)
            Log.retry(on: loop, runtime.timers)
            if let control {
                runtime.context.whenStartFailed = { cause in
                    control.fail("\(name) cannot start: \(cause)")
                    runtime.context.fail(cause)
                }
                runtime.takeOver = { [unowned runtime] in
                    runtime.takeOver = nil
                    takeOver(runtime, control)
                    unsafe cre_process_set_title(title)
                    if runtime.hasBegun { resume(runtime) }
                }
            } else {
                try runtime.open()
            }
            try context.confinement.enter(node: context.layout.node(of: id))
            signals.watch(loop, runtime.timers) { runtime.drain.start(.requested, within: $0) }
            serve(runtime)
        } catch {
            control?.fail("\(name) cannot start: \(error.message)")
            Log.error("\(name) cannot start: \(error.message)")
            ProcessEnd.exit(1)
        }
        ProcessEnd.exit(0)
    }

    /// Runs the loop, and the application's code before and after it. `hasFailed` is asked when the code before it has
    /// run, and after the loop.
    static func serve(_ runtime: WorkerRuntime, hasFailed: () -> Bool = { false }) {
        begin(runtime)
        runtime.hasBegun = true
        if !hasFailed() {
            if runtime.context.isOpen { resume(runtime) }
            runtime.loop.run()
        }
        if !hasFailed(), runtime.role.isManaged {
            runtime.link.publish(activity: UInt32(CRE_AT_STOP))
            runtime.configuration.handlers.workerStop?(runtime.context)
        }
        runtime.close()
    }

    /// Takes the place of the predecessor: reports that this process is ready, waits until the predecessor has ended,
    /// and opens the link.
    private static func takeOver(_ runtime: WorkerRuntime, _ control: ControlChannel) {
        guard control.waitForPermission() else { ProcessEnd.exit(0) }
        control.end()
        runtime.context.whenStartFailed = nil
        do throws(ServerError) { try runtime.open() } catch {
            Log.error("\(runtime.name) cannot start: \(error.message)")
            ProcessEnd.exit(1)
        }
        runtime.link.publish(activity: UInt32(CRE_AT_START))
    }

    /// Serves the connections of the predecessor, when the application's first code has run or waits for a task.
    private static func resume(_ runtime: WorkerRuntime) {
        runtime.link.publish(activity: UInt32(CRE_AT_NOTHING))
        runtime.resumeWebSockets()
    }

    /// Runs the application's first code.
    private static func begin(_ runtime: WorkerRuntime) {
        let handlers = runtime.configuration.handlers
        runtime.link.publish(activity: UInt32(CRE_AT_START))
        if runtime.role.isManaged {
            handlers.workerStart?(runtime.context)
            let runners = runtime.context.lanes.runners
            if runtime.takeOver != nil, runners.suspended > 0 {
                // An asynchronous onWorkerStart: the predecessor serves until it has finished.
                runners.whenIdle = { [unowned runtime] in
                    runners.whenIdle = nil
                    runtime.takeOver?()
                }
            } else {
                runtime.takeOver?()
            }
        } else {
            let layout = runtime.configuration.layout
            let body = handlers.processes[runtime.id - layout.workers - layout.taskWorkers].body
            // Code that blocks for good never reaches the loop, which reads signals: until then they end the process
            // directly, and everything sent leaves at once.
            var term = sigset_t()
            unsafe sigemptyset(&term)
            unsafe sigaddset(&term, SIGTERM)
            unsafe sigaddset(&term, Signals.stop)
            runtime.link.setImmediate(true)
            unsafe pthread_sigmask(SIG_UNBLOCK, &term, nil)
            body(runtime.context)
            unsafe pthread_sigmask(SIG_BLOCK, &term, nil)
            runtime.link.setImmediate(false)
        }
        runtime.link.publish(activity: UInt32(CRE_AT_NOTHING))
    }
}
