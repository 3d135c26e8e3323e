internal import CReactor
internal import Glibc

/// Why a port cannot be listened on, with the setting to change.
struct ListenError: CustomStringConvertible {
    private let port: PortConfiguration
    private let error: Int32

    init(_ port: PortConfiguration, _ error: Int32) {
        self.port = port
        self.error = error
    }

    var description: String { "cannot listen on \(place): \(cause)" }

    private var place: String {
        if let descriptor = port.settings.descriptor { return "descriptor \(descriptor)" }
        return port.isLocal ? port.host : "\(port.host) port \(port.port)"
    }

    private var cause: String {
        if port.settings.descriptor != nil { return causeOfDescriptor }
        return port.isLocal ? causeOfPath : causeOfAddress
    }

    private var causeOfAddress: String {
        switch error {
        case CRE_EINVALID.rawValue:
            "host must be an IP address, a host name, or \"unix:\" and a path"
        case -EADDRINUSE: "another program listens there"
        case -EADDRNOTAVAIL: "host is not an address of this machine"
        case -EAFNOSUPPORT: "this machine has no IPv6"
        case -EACCES where port.port < ListenError.firstOpenPort:
            """
            ports below \(ListenError.firstOpenPort) need root or CAP_NET_BIND_SERVICE (choose another port, or start the \
            server as root with settings.user)
            """
        default: errorText(error)
        }
    }

    private var causeOfPath: String {
        switch error {
        case CRE_EINVALID.rawValue: "host has no path behind \"unix:\""
        case -EADDRINUSE: "another program listens there"
        case -ENOTSOCK: "a file that is not a socket has this path (remove it, or choose another path)"
        case -ENAMETOOLONG: "the path is longer than 107 bytes"
        case -ENOENT: "the folder does not exist"
        case -EACCES: "permission denied: this user must be able to write to the folder and to a socket in it"
        default: errorText(error)
        }
    }

    private var causeOfDescriptor: String {
        switch error {
        case -EBADF: "it is not open"
        case -ENOTSOCK: "it is not a socket"
        case -EPROTOTYPE: "it is not a socket for \(port.type == .udp ? "datagrams" : "connections")"
        default: errorText(error)
        }
    }

    /// The lowest port that any user may listen on.
    private static var firstOpenPort: Int {
        let file = unsafe fopen("/proc/sys/net/ipv4/ip_unprivileged_port_start", "re")
        guard let file = unsafe file else { return 1024 }
        defer { unsafe fclose(file) }
        var text = [CChar](repeating: 0, count: 16)
        guard unsafe fgets(&text, Int32(text.count), file) != nil else { return 1024 }
        return Int(unsafe atoi(text))
    }
}
