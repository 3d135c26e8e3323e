import Foundation

/// A Redis Cluster of one node with all slots and the password "pw".
final class RedisClusterProcess {
    private let folder: Folder
    private let port: Int
    private let pid: Int32

    /// The URL for ``Configuration/cluster``.
    var url: String { "cluster:redis://:pw@127.0.0.1:\(port)" }

    init() throws {
        folder = try Folder()
        // As the node writes it, so that nobody has to give it its slots.
        let id = String(repeating: "a", count: 40)
        let nodes = """
            \(id) :0@0 myself,master - 0 0 1 connected 0-16383
            vars currentEpoch 1 lastVoteEpoch 0

            """
        try nodes.write(toFile: folder.file("nodes.conf"), atomically: true, encoding: .utf8)
        (port, pid) = try RedisClusterProcess.start(folder)
    }

    /// Another program may come first for a port, so there are several attempts.
    private static func start(_ folder: Folder) throws -> (port: Int, pid: Int32) {
        for attempt in 1... {
            let (port, busPort) = try (SentinelProcess.freePort(), SentinelProcess.freePort())
            let log = folder.file("log\(attempt)")
            let pid = try RedisProcess.spawn([
                "--bind", "127.0.0.1", "--port", "\(port)", "--cluster-enabled", "yes", "--cluster-port", "\(busPort)",
                "--requirepass", "pw", "--save", "", "--dir", folder.path, "--logfile", log,
            ])
            var isRunning = true
            try Wait.until("a node") {
                isRunning = waitpid(pid, nil, WNOHANG) == 0
                let text = try? String(contentsOfFile: log, encoding: .utf8)
                return !isRunning || text?.contains("Ready to accept connections") == true
            }
            if isRunning { return (port, pid) }
            guard attempt < 5 else { break }
        }
        throw SystemError("starting a node of a Redis Cluster", EADDRINUSE)
    }

    deinit {
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }
}
