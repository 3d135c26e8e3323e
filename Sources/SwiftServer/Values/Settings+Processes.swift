internal import CReactor
internal import CReactorInternal

/// What the settings of processes mean to the one that starts.
extension Settings {
    /// Those that make no sense together.
    func checkProcesses() throws(ServerError) {
        guard cpuAffinity || cpuAffinityIgnore.isEmpty else { throw .setting("cpuAffinityIgnore needs cpuAffinity") }
    }

    /// Has the system let each process have as many descriptors as connections, and those that it needs for itself.
    func allowDescriptors() {
        let own = 500
        let allowed = cre_process_allow_descriptors(Int64(maxConnections + own))
        guard allowed >= 0, allowed < maxConnections + own else { return }
        let text =
            "\(allowed) open files are allowed, too few for maxConnections, which is \(maxConnections): raise the hard limit (ulimit -Hn, LimitNOFILE)"
        // Who did not ask for so many has not made a mistake.
        if maxConnections == Settings().maxConnections { Log.debug(text) } else { Log.warning(text) }
    }
}
