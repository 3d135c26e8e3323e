internal import CReactor
internal import CReactorInternal
internal import Glibc

/// Processes that are started from the program file instead of by a fork alone.
extension Manager {
    /// A process of the new program that makes itself ready while the old one still serves.
    struct Candidate {
        let pid: Int32
        let control: Control
        let deadline: ContinuousClock.Instant
        var isReady = false
    }

    /// Whether workers run a new program by now, so that whoever replaces them must, too.
    var usesProgram: Bool { server.orders?.renewed.isRaised == true }

    /// Starts the program for a seat. With a control it begins when it is told to by that, else at once. Returns its pid.
    func execute(_ id: Int, _ control: Control? = nil) throws(ServerError) -> Int32 {
        guard let program = server.program, let orders = server.orders else {
            throw .setting("no program to start")
        }
        var handover = Handover()
        handover.id = id
        handover.control = control?.descriptor ?? -1
        handover.master = server.masterPID
        handover.manager = getpid()
        handover.bus = bus.descriptors
        handover.orders = orders.all.map(\.descriptor)
        if server.mode == .base, seats[id].role == .worker { handover.listeners = listeners.sockets }
        handover.ports = server.ports.map(\.port)
        handover.shared = SharedInheritance.descriptors
        handover.terms = server.terms
        let pid = cre_process_fork()
        if pid == 0 {
            let result = program.execute(handover)
            Log.error("cannot start \(program.path): \(errorText(result))")
            cre_process_exit(127)
        }
        guard pid > 0 else { throw .system("starting \(program.path)", pid) }
        return pid
    }

    /// Starts the new program beside a process that is to be replaced.
    mutating func prepare(_ id: Int) throws(ServerError) {
        let (own, others) = try Control.pair()
        defer { others.end() }
        let pid: Int32
        do throws(ServerError) { pid = try execute(id, others) } catch {
            own.end()
            throw error
        }
        reload.candidate = Candidate(
            pid: pid, control: own, deadline: .now + server.settings.shutdownTimeout)
    }

    /// What was not replaced yet goes on.
    mutating func abandonReload(_ cause: String) {
        if let candidate = reload.candidate {
            kill(candidate.pid, SIGKILL)
            candidate.control.end()
        }
        Log.error("the reload is given up, the workers that run go on: \(cause)")
        reload = Reload()
        server.handlers.afterReload?(server)
    }
}
