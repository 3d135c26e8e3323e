internal import Glibc

/// The sockets that a service manager has bound for this process and passed to it, by the protocol of systemd:
/// `LISTEN_FDS` is their number, from descriptor 3 on, `LISTEN_PID` the process that they are for, and `LISTEN_FDNAMES`
/// their names.
struct PassedSockets {
    /// A passed descriptor.
    struct Passed: Equatable {
        enum Kind: Equatable {
            case streams(listening: Bool)
            case datagrams
            case noSocket
        }

        let descriptor: Int32
        let name: String
        let kind: Kind
        /// The address that it is bound to, or "unix:" and a path.
        let host: String
        /// The port of an IP address.
        let port: Int
        /// Whether it is an IPv6 socket that does not serve IPv4.
        let isOnlyIPv6: Bool

        var isLocal: Bool { host.hasPrefix("unix:") }

        var description: String {
            let place = isLocal ? host : kind == .noSocket ? "no socket" : "\(host) port \(port)"
            return "descriptor \(descriptor) (\(name.isEmpty ? "" : "\"\(name)\", ")\(place))"
        }
    }

    /// Those that no port has taken.
    private(set) var sockets: [Passed] = []

    /// The first descriptor of the protocol.
    private static let first: Int32 = 3
    private static let most = 1024
    private static let variables = ["LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES"]

    /// Takes over the sockets of this process: programs that it starts inherit neither them nor the environment.
    static func receive() throws(ServerError) -> PassedSockets {
        defer { for name in variables { unsafe unsetenv(name) } }
        let environment: (String) -> String? = { unsafe getenv($0).map { unsafe String(cString: $0) } }
        if let line = ignored(environment) { Log.warning(line) }
        return try PassedSockets(environment)
    }

    /// The line of the log about sockets that are for another process; `nil`: there are none.
    static func ignored(_ environment: (String) -> String?, pid: Int32 = getpid()) -> String? {
        guard environment("LISTEN_FDS") != nil else { return nil }
        let other = environment("LISTEN_PID")
        guard other != "\(pid)" else { return nil }
        return """
            the sockets of LISTEN_FDS are ignored: LISTEN_PID is \(other.map { "\"\($0)\"" } ?? "missing"), and this \
            process is \(pid); the service manager must start the program itself, or a shell by exec
            """
    }

    /// No sockets.
    init() {}

    /// - Parameters:
    ///   - environment: returns the value of a variable.
    ///   - pid: this process.
    ///   - first: the first descriptor.
    init(
        _ environment: (String) -> String?, pid: Int32 = getpid(), first: Int32 = PassedSockets.first
    ) throws(ServerError) {
        guard let text = environment("LISTEN_FDS"), environment("LISTEN_PID") == "\(pid)" else { return }
        guard let count = Int(text), (0...PassedSockets.most).contains(count) else {
            throw .setting("LISTEN_FDS must be 0...1,024, got \"\(text)\"")
        }
        let names = environment("LISTEN_FDNAMES").map {
            $0.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        }
        sockets = (0..<count).map { index in
            let descriptor = first + Int32(index)
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            let name = names.flatMap { $0.indices.contains(index) ? $0[index] : nil } ?? ""
            return PassedSockets.describe(descriptor, name)
        }
    }

    private static func describe(_ descriptor: Int32, _ name: String) -> Passed {
        func option(_ option: Int32, _ level: Int32 = SOL_SOCKET) -> Int32? {
            var value: Int32 = 0
            var size = socklen_t(MemoryLayout<Int32>.size)
            return unsafe getsockopt(descriptor, level, option, &value, &size) == 0 ? value : nil
        }
        let kind: Passed.Kind =
            switch option(SO_TYPE) {
            case Int32(SOCK_STREAM.rawValue): .streams(listening: option(SO_ACCEPTCONN) == 1)
            case Int32(SOCK_DGRAM.rawValue): .datagrams
            default: .noSocket
            }
        let (host, port) = kind == .noSocket ? ("", 0) : address(of: descriptor)
        return Passed(
            descriptor: descriptor, name: name, kind: kind, host: host, port: port,
            isOnlyIPv6: option(IPV6_V6ONLY, Int32(IPPROTO_IPV6)) == 1)
    }

    private static func address(of descriptor: Int32) -> (host: String, port: Int) {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        return unsafe withUnsafeMutablePointer(to: &storage) { storage in
            unsafe storage.withMemoryRebound(to: sockaddr.self, capacity: 1) { address in
                guard unsafe getsockname(descriptor, address, &size) == 0 else { return ("", 0) }
                guard unsafe Int32(address.pointee.sa_family) != AF_UNIX else {
                    return (unsafe path(UnsafeRawBufferPointer(start: address, count: Int(size))), 0)
                }
                var host = [CChar](repeating: 0, count: Int(NI_MAXHOST))
                var port = [CChar](repeating: 0, count: Int(NI_MAXSERV))
                let result = unsafe getnameinfo(
                    address, size, &host, socklen_t(host.count), &port, socklen_t(port.count),
                    NI_NUMERICHOST | NI_NUMERICSERV)
                return result == 0 ? (text(host), Int(text(port)) ?? 0) : ("", 0)
            }
        }
    }

    private static func text(_ characters: [CChar]) -> String {
        String(decoding: characters.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// "unix:" and the path in the address of a Unix socket, or @ and the name of an abstract one.
    private static func path(_ address: UnsafeRawBufferPointer) -> String {
        let bytes = unsafe address.dropFirst(MemoryLayout<sa_family_t>.size)
        let isAbstract = unsafe bytes.first == 0
        let name = unsafe isAbstract ? Array(bytes.dropFirst()) : Array(bytes.prefix { $0 != 0 })
        return "unix:\(isAbstract ? "@" : "")\(String(decoding: name, as: UTF8.self))"
    }
}

// MARK: - The sockets of ports

extension PassedSockets {
    /// Takes the socket that `port` names by `socketName`, or else one that is bound to its address; `nil`: there is
    /// none, and the port binds one itself. A socket that the application has found itself is not left any more.
    ///
    /// - Parameter host: the port's address.
    mutating func take(_ port: PortConfiguration, _ host: String) throws(ServerError) -> Int32? {
        if let descriptor = port.settings.descriptor {
            sockets.removeAll { $0.descriptor == descriptor }
            return nil
        }
        let wanted = port.settings.socketName
        let index: Int?
        if let wanted {
            index = sockets.firstIndex { $0.name == wanted }
        } else {
            let usable = sockets.indices.filter { PassedSockets.problem(sockets[$0], port) == nil }
            index =
                usable.first { sockets[$0].isBound(to: host, port) }
                ?? usable.first { sockets[$0].serves(host, port) }
        }
        guard let index else {
            guard let wanted else { return nil }
            throw PassedSockets.error(port, "the service manager has passed no socket with this name\(others)", wanted)
        }
        if let wanted, let problem = PassedSockets.problem(sockets[index], port) {
            throw PassedSockets.error(port, "\(sockets[index].description) \(problem)", wanted)
        }
        return sockets.remove(at: index).descriptor
    }

    private static func error(_ port: PortConfiguration, _ cause: String, _ name: String) -> ServerError {
        ServerError(code: .bindFailed, message: "\(port.name): socketName \"\(name)\": \(cause)")
    }

    private var others: String {
        let names = sockets.map { "\"\($0.name)\"" }
        return names.isEmpty ? "" : "; those that are left are \(names.joined(separator: ", "))"
    }

    /// Why a port cannot use a socket.
    private static func problem(_ socket: Passed, _ port: PortConfiguration) -> String? {
        switch socket.kind {
        case .noSocket: return "is not a socket"
        case .datagrams where port.type != .udp: return "is for datagrams, not for connections"
        case .streams where port.type == .udp: return "is for connections, not for datagrams"
        case .streams(listening: false): return "does not listen: Accept=yes is not supported"
        case .datagrams, .streams: break
        }
        guard socket.isLocal != port.isLocal else { return nil }
        return socket.isLocal ? "is a Unix socket, and host is not" : "is not a Unix socket, and host is"
    }

    /// The line of the log about sockets that no port uses; `nil`: there are none.
    var unused: String? {
        guard !sockets.isEmpty else { return nil }
        let list = sockets.map(\.description).joined(separator: ", ")
        return "no port uses these sockets, which the service manager has passed: \(list)"
    }
}

extension PassedSockets.Passed {
    /// Whether the socket is bound to the address of a port.
    fileprivate func isBound(to host: String, _ port: PortConfiguration) -> Bool {
        if isLocal {
            let path = String(port.host.dropFirst(5))
            return self.host == "unix:\(path.hasPrefix("@") ? path : Path.absolute(path))"
        }
        guard port.port != 0, self.port == port.port, let own = AddressBlock.bytes(of: self.host) else { return false }
        return own == AddressBlock.bytes(of: host)
    }

    /// Whether the socket is for all addresses, those of the port included: that of systemd for a number alone is one
    /// of IPv6 that serves IPv4, too.
    fileprivate func serves(_ host: String, _ port: PortConfiguration) -> Bool {
        port.port != 0 && self.port == port.port && host == "0.0.0.0" && self.host == "::" && !isOnlyIPv6
    }
}
