import Foundation

/// A server of Redis that a test starts and kills. It has a Unix socket, for which no other program can come first, and
/// keeps its data when it is killed.
final class RedisProcess {
    /// REDIS_SERVER in the environment, or the one of the system. Without it tests of clusters are skipped.
    private static let program = BrokerKind.program(
        "REDIS_SERVER", ["/usr/bin/redis-server", "/usr/local/bin/redis-server"])

    static var isInstalled: Bool { program != nil }

    private let folder: Folder
    private var pid: Int32 = 0

    /// The URL for ``Configuration/cluster``.
    var url: String { "unix:\(folder.file("socket"))" }

    init() throws {
        folder = try Folder()
        try start()
    }

    deinit { kill() }

    func start() throws {
        pid = try RedisProcess.spawn([
            "--port", "0", "--unixsocket", folder.file("socket"), "--save", "", "--appendonly", "yes", "--appendfsync",
            "no",
            "--dir", folder.path, "--logfile", folder.file("log"),
        ])
    }

    static func spawn(_ arguments: [String]) throws -> Int32 {
        try BrokerKind.spawn([program ?? "redis-server"] + arguments)
    }

    /// Starts it after it was killed, without its data.
    func startEmpty() throws {
        try FileManager.default.removeItem(atPath: folder.file("appendonlydir"))
        try start()
    }

    /// Kills it without a chance to save anything.
    func kill() {
        guard pid > 0 else { return }
        Glibc.kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
        pid = 0
    }
}
