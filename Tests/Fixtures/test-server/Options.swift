import SwiftServer

/// `test-server SCENARIO name=value...`
struct Options {
    let scenario: String
    private var values: [String: String] = [:]

    init(_ arguments: [String]) {
        scenario = arguments.count > 1 ? arguments[1] : ""
        for argument in arguments.dropFirst(2) {
            let parts = argument.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            values[String(parts[0])] = parts.count > 1 ? String(parts[1]) : ""
        }
    }

    subscript(name: String) -> String? { values[name] }
    func number(_ name: String) -> Int? { values[name].flatMap { Int($0) } }

    /// Seconds after which it ends by itself.
    var patience: UInt32 { number("patience").map { UInt32($0) } ?? 120 }

    var mode: ServerMode { self["mode"].flatMap { ServerMode(rawValue: $0) } ?? .process }

    var tls: TLSConfiguration? {
        guard let certificate = self["cert"], let key = self["key"] else { return nil }
        var tls = TLSConfiguration(certificateFile: certificate, privateKeyFile: key)
        if let host = self["otherHost"], let chain = self["hostCert"], let key = self["hostKey"] {
            tls.certificates.append(.init(host: host, chain: .file(chain), privateKey: .file(key)))
        }
        return tls
    }

    func apply(to settings: inout Settings) {
        settings.workerCount = number("workers") ?? 1
        settings.reactorCount = number("reactors")
        if let bytes = number("maxMessage") { settings.maxMessage = bytes }
        if let bytes = number("maxQueue") { settings.maxQueue = bytes }
        if let bytes = number("ringSize") { settings.ringSize = bytes }
        if let time = number("shutdownTimeout") { settings.shutdownTimeout = .milliseconds(time) }
        if let time = number("closeTimeout") { settings.closeTimeout = .milliseconds(time) }
        if let time = number("heartbeatIdleTime") { settings.heartbeatIdleTime = .milliseconds(time) }
        if let time = number("pingInterval") { settings.pingInterval = .milliseconds(time) }
        if let count = number("maxConnectionsPerAddress") { settings.maxConnectionsPerAddress = count }
        if let level = self["logLevel"] { settings.logLevel = LogLevel.allCases.first { "\($0)" == level }! }
        settings.logFile = self["logFile"]
        settings.pidFile = self["pidFile"]
        settings.statsFile = self["statsFile"]
        if let reload = self["reload"].flatMap({ Reload(rawValue: $0) }) { settings.reload = reload }
        settings.daemonize = self["daemonize"] != nil
        settings.user = self["user"]
        settings.group = self["group"]
        settings.chroot = self["chroot"]
        settings.cpuAffinity = self["cpuAffinity"] != nil
        settings.cpuAffinityIgnore = self["cpuAffinityIgnore"]?.split(separator: ",").compactMap { Int($0) } ?? []
        if let count = number("maxConnections") { settings.maxConnections = count }
        settings.taskWorkerCount = number("tasks") ?? 0
        if let bytes = number("maxTask") { settings.maxTask = bytes }
        if let count = number("maxRequests") { settings.maxRequests = count }
        settings.maxRequestsGrace = number("maxRequestsGrace")
        if let count = number("maxTasks") { settings.maxTasks = count }
        settings.maxTasksGrace = number("maxTasksGrace")
        if let time = number("stuckAfter") { settings.stuckAfter = .milliseconds(time) }
        settings.killsStuck = self["killsStuck"] != nil
        if let time = number("taskTimeout") { settings.taskTimeout = .milliseconds(time) }
        settings.keepsHandshakes = self["keepsHandshakes"] != nil
        if let time = number("idleTimeout") { settings.idleTimeout = .milliseconds(time) }
    }
}
