internal import CReactor
internal import Glibc

/// The sockets of all ports, bound before anything is forked so that a mistake is an error of `start()`.
///
/// In process mode each port has one, the master's. In base mode each worker has its own on the same port, and the
/// kernel distributes the connections; they stay open in the manager, so that clients in the queue of a crashed worker
/// are served by its successor, and so that other programs on the port get nothing (`cre_listen_several`). Unix sockets
/// and inherited ones cannot be bound twice: the workers share one.
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

    /// Uses sockets that were passed to this process, and binds the others.
    init(
        _ ports: [PortConfiguration], _ mode: ServerMode, _ settings: Settings, _ passed: inout PassedSockets
    ) throws(ServerError) {
        do throws(ServerError) {
            for port in ports {
                var port = port
                if !passed.sockets.isEmpty || port.settings.socketName != nil {
                    let found = try passed.take(port, try HostName.address(port.host, port))
                    if let found { port.settings.descriptor = found }
                }
                try bind(port, mode, settings)
            }
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
        let isShared = count > 1 && !port.isLocal && port.settings.descriptor == nil
        let host = try HostName.address(port.host, port)
        var bound = UInt16(port.port)
        var own = [Int32](repeating: -1, count: isShared ? count : 1)
        let result = unsafe host.withCString { host in
            var options = unsafe port.settings.listenOptions(isDatagram: port.type == .udp, backlog: settings.backlog)
            unsafe options.host = host
            unsafe options.port = bound
            unsafe options.reuse_port = port.settings.reusePort
            if isShared { return unsafe cre_listen_several(&options, &own, UInt32(count), &bound) }
            own[0] = unsafe cre_listen(&options, &bound)
            return own[0]
        }
        guard result >= 0 else {
            throw ServerError(code: .bindFailed, message: ListenError(port, result).description)
        }
        ports.append(Int(bound))
        sockets.append(isShared ? own : Array(repeating: own[0], count: count))
        // The file of a socket that somebody else has bound is theirs.
        if port.isLocal, port.settings.descriptor == nil { remember(String(port.host.dropFirst(5))) }
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
