internal import CReactor
internal import CReactorInternal
internal import Glibc

/// Processes that get ready while their predecessors serve, and those that are started from the program file instead of
/// by a fork alone.
extension Manager {
    /// A successor that gets ready while its predecessor serves.
    struct Candidate {
        let pid: Int32
        let control: ControlChannel
        /// The time by which a new program must have reached `start()`; after that `onWorkerStart` takes long.
        var deadline: ContinuousClock.Instant
        /// Whether it runs `onWorkerStart`.
        var hasStarted: Bool
        /// Whether `onWorkerStart` takes long.
        var isOverdue = false
        var isReady = false
    }

    /// Whether workers run a new program by now, so that their replacements must run it too.
    var usesProgram: Bool { context.flags.renewed.isRaised }

    /// Starts the program for a seat, and returns its pid. With a control channel it waits for permission to begin.
    func execute(_ id: Int, _ control: ControlChannel? = nil) throws(ServerError) -> Int32 {
        let program = context.program
        var handover = Handover()
        handover.id = id
        handover.control = control?.descriptor ?? -1
        handover.master = context.masterPID
        handover.manager = getpid()
        handover.bus = bus.descriptors
        handover.flags = context.flags.all.map(\.descriptor)
        if context.mode == .base, seats[id].role == .worker { handover.listeners = listeners.sockets }
        handover.ports = context.ports
        handover.shared = SharedInheritance.descriptors
        handover.compatibility = context.configuration.compatibility
        let pid = cre_process_fork()
        if pid == 0 {
            let result = program.execute(handover)
            Log.error("cannot start \(program.path): \(errorText(result))")
            ProcessEnd.exit(127)
        }
        guard pid > 0 else { throw .system("cannot start \(program.path)", pid) }
        return pid
    }

    /// Starts a successor beside a process that it will replace.
    mutating func prepare(_ id: Int) throws(ServerError) {
        let (own, others) = try ControlChannel.pair()
        defer { others.end() }
        let isProgram = settings.reload == .newProgram
        let pid: Int32
        do throws(ServerError) {
            pid = try isProgram ? execute(id, others) : fork(id, (own, others))
            guard pid > 0 else { throw .system("cannot start \(layout.name(of: id))", pid) }
        } catch {
            own.end()
            throw error
        }
        candidate = Candidate(
            pid: pid, control: own, deadline: now() + settings.shutdownTimeout, hasStarted: !isProgram)
    }

    /// Processes that were not replaced yet continue.
    mutating func abortReload(_ cause: String) {
        if let candidate {
            kill(candidate.pid, SIGKILL)
            candidate.control.end()
        }
        Log.error("the reload is aborted, running workers continue: \(cause)")
        candidate = nil
        endReload(.reloadAborted)
    }
}
