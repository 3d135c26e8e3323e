package import SwiftServer

/// The settings of a fixture: of its server (`nil`: the default) and of its scenario. They are passed as JSON.
package struct Configuration: Codable, Sendable {
    package var scenario: Scenario
    package var mode: ServerMode
    package var workers: Int
    package var host: String?
    package var port: Int?
    /// Seconds after which it ends by itself, in case the tests are cut off.
    package var patience: UInt32?

    // The server
    package var reactors: Int?
    package var tasks: Int?
    package var maxMessage: Int?
    package var maxQueue: Int?
    package var maxTask: Int?
    package var maxConnections: Int?
    package var maxConnectionsPerAddress: Int?
    package var maxConcurrentRequests: Int?
    package var maxRequests: Int?
    package var maxRequestsGrace: Int?
    package var maxTasks: Int?
    package var maxTasksGrace: Int?
    package var ringSize: Int?
    package var closeTimeout: Duration?
    package var shutdownTimeout: Duration?
    package var idleTimeout: Duration?
    package var messageTimeout: Duration?
    package var heartbeatIdleTime: Duration?
    package var pingInterval: Duration?
    package var stuckAfter: Duration?
    package var slowHandlerAfter: Duration?
    package var killsStuck: Bool?
    package var taskTimeout: Duration?
    package var keepsHandshakes: Bool?
    package var reload: Reload?
    package var daemonize: Bool?
    package var logLevel: LogLevel?
    package var logFile: String?
    package var pidFile: String?
    package var statsFile: String?
    package var monitoringPort: Int?
    package var monitoringToken: String?
    package var controlSocket: String?
    package var drainDelay: Duration?
    package var drainSpread: Duration?
    package var shutdownCode: UInt16?
    package var logFormat: LogFormat?
    package var user: String?
    package var group: String?
    package var chroot: String?
    package var cpuAffinity: Bool?
    package var cpuAffinityIgnore: [Int]?
    /// The certificate of its TLS ports, and another one for clients that ask for its host.
    package var certificate: Certificate?
    package var otherCertificate: Certificate?
    /// Those of TLS 1.2, in OpenSSL's notation.
    package var ciphers: String?

    /// The URLs of the Redis or NATS of its cluster, with commas, or behind "cluster:" that of a node of a Redis
    /// Cluster. It keeps messages of topics "kept:..." and delivers those of "first:..." to its own subscribers first.
    package var cluster: String?
    /// Clients get messages of topics "line:..." in envelopes, without a cluster.
    package var hasEnvelopes: Bool?
    package var presenceTimeout: Duration?
    /// `false`: the scenario `presence` has no handlers that need members.
    package var keepsMembers: Bool?
    /// The address of a sentinel; ``cluster`` is the name of the master then.
    package var sentinel: String?

    // The scenario
    /// Handlers are asynchronous.
    package var isAsync: Bool?
    /// Handlers take borrowed bytes.
    package var usesSpans: Bool?
    /// How often onWorkerStart of worker 0 throws.
    package var failingStarts: Int?
    /// How long an asynchronous handler sleeps.
    package var delay: Duration?
    package var dispatch: DispatchRule?
    package var unixSocket: String?
    /// The sources of the PROXY protocol on the server's own port.
    package var proxies: [String]?
    /// The name of the passed socket of the server's own port.
    package var socketName: String?
    /// The file of the authorities of clients, which must present certificates.
    package var clientAuthorities: String?
    /// There are callbacks beside straight-line handlers.
    package var hasCallbacks: Bool?
    package var compresses: Bool?
    /// Whether the server's own port serves HTTP/2; `nil`: the default.
    package var http2: Bool?
    /// The code of custom processes (`nil`: there are none), and how many run it: one, unless given.
    package var process: CustomProcess?
    package var processes: Int?
    /// Master and manager post a task and send a message.
    package var postsEarly: Bool?
    /// There is no onFinish.
    package var ignoresResults: Bool?
    package var version: Int?
    package var startFailure: StartFailure?
    package var allocatesMore: Bool?
    package var blocks: BlockingPlace?
    /// The file with a `StartOrder`.
    package var orders: String?
    /// The folder that the scenario `files` serves.
    package var folder: String?
    /// Starts the server a second time when it has ended.
    package var startsTwice: Bool?
    package var asyncStep: AsyncStep?

    /// The files of a certificate.
    package struct Certificate: Codable, Sendable {
        package let host: String
        package let chain: String
        package let key: String

        package init(host: String, chain: String, key: String) {
            self.host = host
            self.chain = chain
            self.key = key
        }
    }

    package init(_ scenario: Scenario, _ mode: ServerMode, workers: Int = 1, tasks: Int = 0) {
        self.scenario = scenario
        self.mode = mode
        self.workers = workers
        self.tasks = tasks
        self.tasks = tasks
    }

    /// The configuration in the only argument of a program.
    package init(arguments: [String]) throws { self = try decoded(Self.self, arguments.count > 1 ? arguments[1] : "") }
}

// MARK: - Its use

extension Configuration {
    @MainActor package func apply(to server: WebSocketServer) {
        apply(to: &server.settings)
        server.tls = tls
        server.ports[0].settings.proxyProtocol = proxies.map(ProxyProtocol.init(from:))
        server.ports[0].settings.socketName = socketName
        server.ports[0].settings.http2 = http2
        if hasEnvelopes == true { server.cluster.topics["line:*"] = TopicSettings(enveloped: true) }
        guard let cluster else { return }
        server.cluster =
            if let sentinel {
                .redis(sentinels: [sentinel], masters: [cluster], password: "pw")
            } else if cluster.hasPrefix("cluster:") {
                .redis(cluster: [String(cluster.dropFirst("cluster:".count))])
            } else if cluster.hasPrefix("nats://") {
                .nats(cluster.split(separator: ",").map(String.init))
            } else {
                .redis(cluster.split(separator: ",").map(String.init))
            }
        if let presenceTimeout { server.cluster.presenceTimeout = presenceTimeout }
        server.cluster.topics["kept:*"] = TopicSettings(history: 10_000)
        server.cluster.topics["short:*"] = TopicSettings(history: 3)
        server.cluster.topics["enveloped:*"] = TopicSettings(history: 1000, enveloped: true)
        server.cluster.topics["line:*"] = TopicSettings(enveloped: true)
        server.cluster.users = TopicSettings(history: 10_000)
        server.cluster.topics["first:*"] = TopicSettings(localFirst: true)
    }

    package var tls: TLSConfiguration? {
        guard let certificate else { return nil }
        var tls = TLSConfiguration(certificateFile: certificate.chain, privateKeyFile: certificate.key)
        tls.ciphers = ciphers
        if let clientAuthorities { tls.clientCertificates = .required(authorities: .file(clientAuthorities)) }
        if let other = otherCertificate {
            tls.certificates.append(
                .init(host: other.host, chain: .file(other.chain), privateKey: .file(other.key)))
        }
        return tls
    }

    private func apply(to settings: inout Settings) {
        func set<Value>(_ setting: WritableKeyPath<Settings, Value>, _ value: Value?) {
            if let value { settings[keyPath: setting] = value }
        }
        settings.workerCount = workers
        settings.reactorCount = reactors
        settings.maxConcurrentRequests = maxConcurrentRequests
        settings.maxRequestsGrace = maxRequestsGrace
        settings.maxTasksGrace = maxTasksGrace
        settings.heartbeatIdleTime = heartbeatIdleTime
        settings.pingInterval = pingInterval
        settings.taskTimeout = taskTimeout
        settings.logFile = logFile
        settings.pidFile = pidFile
        settings.statsFile = statsFile
        settings.monitoringPort = monitoringPort
        settings.monitoringToken = monitoringToken
        settings.controlSocket = controlSocket
        settings.user = user
        settings.group = group
        settings.chroot = chroot
        set(\.taskWorkerCount, tasks)
        set(\.maxMessage, maxMessage)
        set(\.maxQueue, maxQueue)
        set(\.maxTask, maxTask)
        set(\.maxConnections, maxConnections)
        set(\.maxConnectionsPerAddress, maxConnectionsPerAddress)
        set(\.maxRequests, maxRequests)
        set(\.maxTasks, maxTasks)
        set(\.ringSize, ringSize)
        set(\.closeTimeout, closeTimeout)
        set(\.messageTimeout, messageTimeout)
        set(\.shutdownTimeout, shutdownTimeout)
        set(\.drainDelay, drainDelay)
        set(\.drainSpread, drainSpread)
        set(\.shutdownCode, shutdownCode)
        set(\.logFormat, logFormat)
        set(\.idleTimeout, idleTimeout)
        if let stuckAfter { settings.stuckAfter = stuckAfter }
        if let slowHandlerAfter { settings.slowHandlerAfter = slowHandlerAfter }
        set(\.killsStuck, killsStuck)
        set(\.keepsHandshakes, keepsHandshakes)
        set(\.reload, reload)
        set(\.daemonize, daemonize)
        set(\.logLevel, logLevel)
        set(\.cpuAffinity, cpuAffinity)
        set(\.cpuAffinityIgnore, cpuAffinityIgnore)
    }
}

/// What precedes the configuration at the end of a program file.
package let programTail = "\n#configuration "
