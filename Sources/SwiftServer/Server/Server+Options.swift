/// Options by the names that Swoole has for them, like `["worker_num": 2, "package_max_length": "2M"]`. Each is another
/// name for a part of ``settings``, or of the settings of the server's own port; `docs/swoole-behaviour.md` lists them.
extension Server {
    /// Sets options by name. Calls before ``start()`` merge: all of them together are like one call with all options,
    /// of which the last value counts. `false` switches off what `true` switched on.
    ///
    /// Numbers may be text ("2"), whole numbers may be written as 2.0. When one option is refused, none is set.
    ///
    /// - Throws: ``ServerError`` of the code `invalidSetting` for an unknown option, a value that cannot be converted,
    ///   and framings that contradict each other. Ranges, and options that need another one, are checked by
    ///   ``start()``.
    public func set(_ options: [String: OptionValue]) throws(ServerError) {
        guard masterPID == 0 else { throw .setting("set: cannot change options after start()") }
        var draft = OptionDraft(self)
        // In the order of their names, so that the same mistake gives the same message.
        for (name, value) in options.sorted(by: { $0.key < $1.key }) {
            guard let option = OptionDraft.options[name] else { throw .setting("set: \(UnknownOption(name).cause)") }
            guard option.set(&draft, value) else {
                throw .setting("set: \(name) must be \(option.kind), got \(value)")
            }
        }
        try draft.finish()
        settings = draft.settings
        ports[0].settings = draft.port
        ports[0].tls = draft.tls
        ports[0].namedFolders = draft.folders
        namedOptions = draft.named
    }

    /// The effective value of an option by its name, however it was set; a default where nothing was set. `nil` when
    /// there is no such option, and when it has no value, like `pid_file` without a PID file. Times are seconds.
    public func option(_ name: String) -> OptionValue? {
        OptionDraft.options[name].flatMap { $0.get(OptionDraft(self)) }
    }

    /// The effective values of all options that have one, by name. ``set(_:)`` with them changes nothing.
    public var options: [String: OptionValue] {
        let draft = OptionDraft(self)
        return OptionDraft.options.compactMapValues { $0.get(draft) }
    }
}
