import Glibc

/// Clients of other kinds than TCP over IPv4.
extension Connection {
    static func datagrams(port: Int) throws -> Connection {
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        return try unsafe connected(AF_INET, SOCK_DGRAM, &address, MemoryLayout<sockaddr_in>.size)
    }

    static func ipv6(port: Int) throws -> Connection {
        var address = sockaddr_in6()
        address.sin6_family = sa_family_t(AF_INET6)
        address.sin6_port = in_port_t(port).bigEndian
        address.sin6_addr = in6addr_loopback
        return try unsafe connected(AF_INET6, SOCK_STREAM, &address, MemoryLayout<sockaddr_in6>.size)
    }

    static func local(path: String) throws -> Connection {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        return try unsafe connected(AF_UNIX, SOCK_STREAM, &address, MemoryLayout<sockaddr_un>.size)
    }

    private static func connected(
        _ family: Int32, _ type: __socket_type, _ address: UnsafeRawPointer, _ size: Int
    ) throws -> Connection {
        let descriptor = socket(family, Int32(type.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError("making a socket") }
        let result = unsafe connect(descriptor, address.assumingMemoryBound(to: sockaddr.self), socklen_t(size))
        guard result == 0 else {
            let error = SystemError("connecting")
            close(descriptor)
            throw error
        }
        return Connection(descriptor: descriptor)
    }
}
