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
        port = try SentinelProcess.freePort()
        // As the node writes it, so that nobody has to give it its slots.
        let id = String(repeating: "a", count: 40)
        let nodes = """
            \(id) :0@0 myself,master - 0 0 1 connected 0-16383
            vars currentEpoch 1 lastVoteEpoch 0

            """
        try nodes.write(toFile: folder.file("nodes.conf"), atomically: true, encoding: .utf8)
        let busPort = try SentinelProcess.freePort()
        pid = try RedisProcess.spawn([
            "--bind", "127.0.0.1", "--port", "\(port)", "--cluster-enabled", "yes", "--cluster-port", "\(busPort)",
            "--requirepass", "pw", "--save", "", "--dir", folder.path, "--logfile", folder.file("log"),
        ])
    }

    deinit {
        kill(pid, SIGKILL)
        waitpid(pid, nil, 0)
    }
}
