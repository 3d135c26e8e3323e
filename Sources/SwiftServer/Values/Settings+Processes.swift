internal import CReactor
internal import CReactorInternal

extension Settings {
    /// Descriptors that a process needs besides those of its connections.
    private static let ownDescriptors = 500

    /// Raises the limit of open files for this process and its children, so that `maxConnections` can be reached.
    func allowDescriptors() {
        let wanted = maxConnections + Settings.ownDescriptors
        let allowed = cre_process_allow_descriptors(Int64(wanted))
        guard allowed >= 0, allowed < wanted else { return }
        let text = """
            \(allowed) open files are allowed, too few for maxConnections, which is \(maxConnections): raise the hard \
            limit (ulimit -Hn, LimitNOFILE)
            """
        // The default is no mistake of the user.
        if maxConnections == Settings().maxConnections { Log.debug(text) } else { Log.warning(text) }
    }
}
