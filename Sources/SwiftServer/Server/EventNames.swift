/// The registration of a handler by the name of its event.
struct NamedRegistration {
    let name: String
    /// The place of the call in the program.
    let file: String
    let line: Int

    init(_ name: String, _ file: String, _ line: Int) {
        self.name = name
        self.file = file
        self.line = line
    }

    /// Calls `register` with the event, or returns why the handler cannot be registered.
    ///
    /// - Parameters:
    ///   - events: those that a handler of this form may handle.
    ///   - isAsync: whether the handler is asynchronous.
    func resolve(_ events: [ServerEvent.Kind], isAsync: Bool, _ register: (ServerEvent.Kind) -> Void) -> String? {
        guard let event = ServerEvent(name)?.kind else { return error("there is no such event\(suggestion)") }
        guard events.contains(event) else {
            let limit = isAsync && !event.mayBeAsync ? ", without async" : ""
            return error("the handler must have the form \(event.form)\(limit)")
        }
        register(event)
        return nil
    }

    private func error(_ cause: String) -> String { "\(file):\(line): on(\"\(name)\"): \(cause)" }

    private var suggestion: String {
        let names = ServerEvent.Kind.allCases.map(\.rawValue)
        let bare = name.lowercased().hasPrefix("on") ? String(name.dropFirst(2)) : name
        guard let nearest = UnknownOption.nearest(to: bare, among: names) else {
            return "; the events are \(names.joined(separator: ", "))"
        }
        return "; did you mean \"\(nearest)\"?"
    }
}

extension ServerEvent.Kind {
    /// Whether a handler of the event may be asynchronous. Handlers in the master, the manager and the gateway, and the
    /// last ones of a worker, may not.
    var mayBeAsync: Bool {
        switch self {
        case .start, .beforeShutdown, .shutdown, .managerStart, .managerStop, .beforeReload, .afterReload,
            .workerExit, .workerStop, .workerError, .clusterState:
            false
        default: true
        }
    }
}

extension Port {
    /// Registers a handler by the name of its event. An error is reported by `start()`.
    func register(
        _ name: NamedRegistration, _ events: [ServerEvent.Kind], isAsync: Bool = false,
        _ register: (ServerEvent.Kind) -> Void
    ) {
        let error = name.resolve(events, isAsync: isAsync, register)
        if isStarted, let error { Log.error(error) }
        if registrationError == nil { registrationError = error }
    }
}
