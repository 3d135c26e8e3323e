internal import CReactor
internal import Glibc

/// Host names of ports, which are looked up once, when the server starts.
enum HostName {
    /// The address of a host: the host itself when it is an address or the path of a Unix socket; else the first IPv4
    /// address of the name, or its first IPv6 address when it has no other.
    static func address(_ host: String, _ port: PortConfiguration) throws(ServerError) -> String {
        var parsed = cre_address()
        let isName = port.settings.descriptor == nil && !port.isLocal && !host.isEmpty && !host.contains("%")
        guard isName, unsafe cre_address_parse(host, 0, &parsed) != 0 else { return host }
        var hints = unsafe addrinfo()
        unsafe hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let error = unsafe getaddrinfo(host, nil, &hints, &list)
        guard error == 0, let list = unsafe list else {
            let cause = error == EAI_SYSTEM ? errorText(-errno) : unsafe String(cString: gai_strerror(error))
            throw ServerError(
                code: .bindFailed,
                message: "cannot listen on \(host) port \(port.port): the name has no address: \(cause)")
        }
        defer { unsafe freeaddrinfo(list) }
        let all = unsafe sequence(first: list) { unsafe $0.pointee.ai_next }
        let found = unsafe all.first { unsafe $0.pointee.ai_family == AF_INET } ?? list
        return unsafe text(of: found.pointee) ?? host
    }

    private static func text(of info: addrinfo) -> String? {
        unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: Int(NI_MAXHOST)) { name in
            let result = unsafe getnameinfo(
                info.ai_addr, info.ai_addrlen, name.baseAddress, socklen_t(name.count), nil, 0, NI_NUMERICHOST)
            return unsafe result == 0 ? String(cString: name.baseAddress!) : nil
        }
    }
}
