internal import CReactor
internal import Glibc

/// The listening sockets of one port, bound before anything is forked so that a mistake is an error of `start()`.
///
/// Process mode has one, the master's. In base mode each worker has its own on the same port and the kernel shares the
/// connections out; they stay open in the manager, so that whoever waits in the queue of a worker that crashed is served
/// by its successor.
struct Listeners: Sendable {
    let descriptors: [Int32]
    let port: Int

    init(host: String, port: Int, mode: ServerMode, settings: Settings) throws(ServerError) {
        guard (0...65_535).contains(port) else {
            throw ServerError(code: .invalidSetting, message: "port must be 0...65,535, not \(port)")
        }
        let count = mode == .base ? settings.workerCount : 1
        var bound = UInt16(port)
        func listen(shared: Bool) throws(ServerError) -> Int32 {
            let result = unsafe host.withCString { host in
                var options = unsafe cre_listen_options()
                unsafe options.host = host
                unsafe options.port = bound
                unsafe options.backlog = Int32(settings.backlog)
                unsafe options.reuse_port = shared
                return unsafe cre_listen(&options, &bound)
            }
            guard result < 0 else { return result }
            let cause =
                switch result {
                case -EADDRINUSE: "another program listens there"
                case -EADDRNOTAVAIL: "that is not an IP address of this machine (names are not looked up)"
                case -EACCES: "ports below 1024 need special rights"
                default: errorText(result)
                }
            throw ServerError(code: .bindFailed, message: "cannot listen on \(host) port \(port): \(cause)")
        }
        // A shared port would be shared with any other server that asks for it, too: a socket that does not share
        // finds out whether there is one.
        var sockets = [try listen(shared: false)]
        if count > 1 {
            close(sockets[0])
            sockets = []
            do throws(ServerError) {
                for _ in 0..<count { sockets.append(try listen(shared: true)) }
            } catch {
                for socket in sockets { close(socket) }
                throw error
            }
        }
        descriptors = sockets
        self.port = Int(bound)
    }

    func closeAll() {
        for descriptor in descriptors { close(descriptor) }
    }
}
