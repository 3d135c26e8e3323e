/// Settings without an effect are refused, so that nobody relies on them.

extension Settings {
    /// Refuses settings that need another one, or more processes than `mode` has.
    func checkUse(mode: ServerMode) throws(ServerError) {
        func require(_ isGood: Bool, _ message: @autoclosure () -> String) throws(ServerError) {
            if !isGood { throw .setting(message()) }
        }
        if mode == .single { try checkSingle() }
        try require(!killsStuck || stuckAfter != nil, "killsStuck needs stuckAfter")
        try require(maxRequestsGrace ?? 0 == 0 || maxRequests > 0, "maxRequestsGrace needs maxRequests")
        try require(maxTasksGrace ?? 0 == 0 || maxTasks > 0, "maxTasksGrace needs maxTasks")
        try require(maxTasks == 0 || taskWorkerCount > 0, "maxTasks needs taskWorkerCount")
        try require(taskTimeout == nil || taskWorkerCount > 0, "taskTimeout needs taskWorkerCount")
        let isMonitoringLocal = monitoringHost.hasPrefix("unix:")
        try require(
            monitoringPort != nil || isMonitoringLocal || monitoringHost == Settings().monitoringHost,
            "monitoringHost needs monitoringPort")
        try require(
            monitoringToken == nil || monitoringPort != nil || isMonitoringLocal,
            "monitoringToken needs monitoringPort")
        try require(
            monitoringPort == nil || !isMonitoringLocal, "monitoringPort has no effect with a Unix socket: remove it")
        try require(
            controlSocket != nil || controlSocketPermissions == Settings().controlSocketPermissions,
            "controlSocketPermissions needs controlSocket")
        try require(
            maxWaitingRequests == Settings().maxWaitingRequests || maxConcurrentRequestsPerWorker != nil,
            "maxWaitingRequests needs maxConcurrentRequestsPerWorker")
        try require(program == nil || reload == .newProgram, "program needs reload = .newProgram")
    }

    /// A single process has nobody to supervise or replace it.
    private func checkSingle() throws(ServerError) {
        let unused = [
            ("workerCount", workerCountIsSet && workerCount > 1), ("maxRequests", maxRequests > 0),
            ("maxTasks", maxTasks > 0), ("killsStuck", killsStuck),
            ("stuckAfter", stuckAfter != nil && stuckAfter != Settings().stuckAfter),
            ("taskTimeout", taskTimeout != nil), ("reload", reload != .fork), ("program", program != nil),
        ]
        guard let name = unused.first(where: \.1)?.0 else { return }
        throw .setting(
            "\(name) has no effect in single mode, whose only process is not supervised: remove it, or use another mode"
        )
    }
}

extension PortSettings {
    /// Refuses settings that a port of this protocol does not have.
    func checkUse(_ name: String, _ spoken: PortProtocol, isLocal: Bool) throws(ServerError) {
        let isWeb = spoken == .webSocket || spoken == .http
        let unused: [(String, isSet: Bool, hasIt: Bool, String)] = [
            ("maxPacket", maxPacket != PortSettings().maxPacket, !isWeb, "a tcp or udp port"),
            ("maxMessage", maxMessage != nil, spoken == .webSocket, "a webSocket port"),
            ("deliversCloseFrames", deliversCloseFrames != nil, spoken == .webSocket, "a webSocket port"),
            ("deliversPings", deliversPings != nil, spoken == .webSocket, "a webSocket port"),
            ("deliversPongs", deliversPongs != nil, spoken == .webSocket, "a webSocket port"),
            ("maxHead", maxHead != nil, isWeb, "a webSocket or http port"),
            ("maxBody", maxBody != nil, isWeb, "a webSocket or http port"),
            ("streamRequestBodies", streamRequestBodies != nil, isWeb, "a webSocket or http port"),
            ("compressResponses", compressResponses != nil, isWeb, "a webSocket or http port"),
            ("maxStreamedBody", maxStreamedBody != nil, isWeb, "a webSocket or http port"),
            (
                "headTimeout", headTimeout != nil, isWeb || proxyProtocol != nil,
                "a webSocket or http port, or one with proxyProtocol"
            ),
            ("handshakeTimeout", handshakeTimeout != nil, spoken == .webSocket, "a webSocket port"),
            ("bodyTimeout", bodyTimeout != nil, isWeb, "a webSocket or http port"),
            (
                "messageTimeout", messageTimeout != nil,
                spoken == .webSocket || (spoken == .tcp && framing != .none),
                "a webSocket port, or a tcp port with a framing"
            ),
            ("idleTimeout", idleTimeout != nil, isWeb, "a webSocket or http port"),
            ("http2", http2 != nil, isWeb, "a webSocket or http port"),
            ("maxStreams", maxStreams != nil, isWeb, "a webSocket or http port"),
            ("streamWindow", streamWindow != nil, isWeb, "a webSocket or http port"),
            ("connectionWindow", connectionWindow != nil, isWeb, "a webSocket or http port"),
            ("proxyProtocol", proxyProtocol != nil, spoken != .udp, "a port with connections"),
            ("keepAlive", keepAlive != nil, spoken != .udp, "a port with connections"),
            ("fastOpen", fastOpen != nil, spoken != .udp, "a port with connections"),
            ("deferAccept", deferAccept != nil, spoken != .udp, "a port with connections"),
            ("permissions", permissions != PortSettings().permissions, isLocal, "a Unix socket"),
        ]
        guard let found = unused.first(where: { $0.isSet && !$0.hasIt }) else { return }
        throw .setting("\(name): \(found.0) has no effect there: it belongs to \(found.3)")
    }
}
