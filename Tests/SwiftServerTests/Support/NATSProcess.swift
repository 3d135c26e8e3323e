import Foundation

/// What servers of a cluster exchange messages through, in a test that starts and kills it.
protocol BrokerProcess {
    /// For ``Configuration/cluster``.
    var url: String { get }
    func start() throws
    /// Starts it after it was killed, without its data.
    func startEmpty() throws
    /// Kills it without a chance to save anything.
    func kill()
}

extension RedisProcess: BrokerProcess {}

/// The kinds of brokers.
enum BrokerKind: String, CaseIterable {
    case redis = "Redis"
    case nats = "NATS"

    /// Those that can be tested.
    static var installed: [BrokerKind] {
        allCases.filter { $0 == .redis ? RedisProcess.isInstalled : NATSProcess.isInstalled }
    }

    /// The modes with Redis, and one of them with NATS: it makes no difference outside of the gateway.
    static func cases(_ modes: [ServerMode]) -> [(BrokerKind, ServerMode)] {
        let all = modes.map { (BrokerKind.redis, $0) } + [(.nats, ServerMode.process)]
        return all.filter { BrokerKind.installed.contains($0.0) }
    }

    func make() throws -> any BrokerProcess {
        switch self {
        case .redis: try RedisProcess()
        case .nats: try NATSProcess()
        }
    }
}

/// A server of NATS with JetStream that a test starts and kills. It keeps its port, which it has chosen, and its data.
final class NATSProcess: BrokerProcess {
    /// NATS_SERVER in the environment, or the one of the system.
    private static let program =
        ProcessInfo.processInfo.environment["NATS_SERVER"]
        ?? ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"].first {
            FileManager.default.isExecutableFile(atPath: $0)
        }

    static var isInstalled: Bool { program != nil }

    private let folder: Folder
    private let settings: String
    private var pid: Int32 = 0
    private var port = -1

    /// The user and password, with "@".
    var login = ""
    var url: String { "nats://\(login)127.0.0.1:\(port)" }

    init(settings: String = "") throws {
        folder = try Folder()
        self.settings = settings
        try start()
    }

    deinit { kill() }

    func start() throws {
        let configuration = """
            listen: "127.0.0.1:\(port)"
            ports_file_dir: "\(folder.path)"
            log_file: "\(folder.file("log"))"
            jetstream { store_dir: "\(folder.file("store"))" }
            \(settings)
            """
        try configuration.write(toFile: folder.file("conf"), atomically: true, encoding: .utf8)
        // The alarm ends it in case the tests are cut off.
        let arguments = [
            "/usr/bin/perl", "-e", "alarm 300; exec @ARGV", NATSProcess.program ?? "nats-server", "-c",
            folder.file("conf"),
        ]
        let argv = unsafe arguments.map { unsafe strdup($0) } + [nil]
        defer { for index in unsafe argv.indices { unsafe free(argv[index]) } }
        let result = unsafe posix_spawn(&pid, argv[0]!, nil, nil, argv, environ)
        guard result == 0 else { throw SystemError("starting nats-server", result) }
        try Wait.until("the port of nats-server") {
            let ports = folder.text("nats-server_\(pid).ports")
            guard let found = ports.firstMatch(of: /nats:\/\/127\.0\.0\.1:(\d+)/), let number = Int(found.1) else {
                return false
            }
            port = number
            return true
        }
    }

    func startEmpty() throws {
        try FileManager.default.removeItem(atPath: folder.file("store"))
        try start()
    }

    func kill() {
        guard pid > 0 else { return }
        Glibc.kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
        pid = 0
    }
}
