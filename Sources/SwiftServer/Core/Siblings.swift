internal import CReactor
internal import CReactorInternal
internal import Glibc

enum Siblings {
    /// Kills a process if it has the same parent as this one. Its pid may come from memory that other processes write.
    static func kill(_ pid: Int32) {
        guard pid > 0, pid != getpid(), cre_process_parent(pid) == getppid() else { return }
        _ = Glibc.kill(pid, SIGKILL)
    }
}
