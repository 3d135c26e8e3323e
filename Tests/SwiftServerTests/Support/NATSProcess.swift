import Foundation

/// A server of NATS with JetStream that a test starts and kills. It keeps its port, which it has chosen, and its data.
final class NATSProcess: BrokerProcess {
    /// NATS_SERVER in the environment, or the one of the system.
    private static let program = BrokerKind.program(
        "NATS_SERVER", ["/usr/sbin/nats-server", "/usr/bin/nats-server", "/usr/local/bin/nats-server"])

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
        pid = try BrokerKind.spawn([NATSProcess.program ?? "nats-server", "-c", folder.file("conf")])
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
