internal import CReactor
internal import Glibc

/// The sockets of all ports, bound before anything is forked so that a mistake is an error of `start()`.
///
/// In process mode each port has one, the master's. In base mode each worker has its own on the same port, and the
/// kernel distributes the connections; they stay open in the manager, so that clients in the queue of a crashed worker
/// are served by its successor. Unix sockets and inherited ones cannot be bound twice: the workers share one.
struct Listeners: Sendable {
    /// By port, then by worker.
    private(set) var sockets: [[Int32]] = []
    /// The ports that they are bound to.
    private(set) var ports: [Int] = []
    private var files: [(path: String, device: UInt, node: UInt)] = []

    /// Takes over the sockets of a running server.
    init(inherited sockets: [[Int32]], ports: [Int]) {
        self.sockets = sockets
        self.ports = ports
    }

    init(_ ports: [PortConfiguration], _ mode: ServerMode, _ settings: Settings) throws(ServerError) {
        do throws(ServerError) {
            for port in ports { try bind(port, mode, settings) }
        } catch {
            closeAll()
            removeFiles()
            throw error
        }
    }

    private mutating func bind(_ port: PortConfiguration, _ mode: ServerMode, _ settings: Settings) throws(ServerError)
    {
        guard (0...65_535).contains(port.port) else {
            throw .setting("port must be 0...65,535, got \(port.port)")
        }
        let count = mode == .base ? settings.workerCount : 1  // the master's, or the only process's
        var bound = UInt16(port.port)
        func listen(shared: Bool) throws(ServerError) -> Int32 {
            let result = unsafe port.host.withCString { host in
                var options = unsafe port.settings.listenOptions(
                    isDatagram: port.type == .udp, backlog: settings.backlog)
                unsafe options.host = host
                unsafe options.port = bound
                unsafe options.reuse_port = shared || port.settings.reusePort
                return unsafe cre_listen(&options, &bound)
            }
            guard result < 0 else { return result }
            let place = port.isLocal ? port.host : "\(port.host) port \(port.port)"
            throw ServerError(
                code: .bindFailed, message: "cannot listen on \(place): \(Listeners.cause(result, port))")
        }
        // A shared port would also be shared with any other server that requests it: a socket that does not share
        // detects another server.
        let first = try listen(shared: false)
        ports.append(Int(bound))
        if port.isLocal { remember(String(port.host.dropFirst(5))) }
        guard count > 1, !port.isLocal, port.settings.descriptor == nil else {
            sockets.append(Array(repeating: first, count: count))
            return
        }
        close(first)
        sockets.append([])
        for _ in 0..<count { sockets[sockets.count - 1].append(try listen(shared: true)) }
    }

    private static func cause(_ error: Int32, _ port: PortConfiguration) -> String {
        switch error {
        case -EADDRINUSE: "another program listens there"
        case -EADDRNOTAVAIL: "that is not an IP address of this machine (names are not looked up)"
        case -EACCES: port.isLocal ? errorText(error) : "ports below 1024 need special rights"
        default: errorText(error)
        }
    }

    func ofWorker(_ id: Int) -> [Int32] { sockets.map { $0[id] } }

    var all: Set<Int32> { Set(sockets.joined()) }

    func closeAll() {
        for descriptor in all { close(descriptor) }
    }

    /// Closes the sockets of all workers but one.
    func closeAll(except id: Int) {
        for descriptor in all.subtracting(ofWorker(id)) { close(descriptor) }
    }

    private mutating func remember(_ path: String) {
        let path = Path.absolute(path)
        var info = stat()
        guard unsafe lstat(path, &info) == 0 else { return }
        files.append((path, UInt(info.st_dev), UInt(info.st_ino)))
    }

    /// Removes the files of Unix sockets, unless a successor has put its own there.
    func removeFiles() {
        for file in files {
            var info = stat()
            guard unsafe lstat(file.path, &info) == 0, UInt(info.st_dev) == file.device, UInt(info.st_ino) == file.node
            else { continue }
            unsafe unlink(file.path)
        }
    }
}
