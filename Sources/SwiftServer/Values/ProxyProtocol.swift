internal import CReactor
internal import Glibc

/// The PROXY protocol, versions 1 and 2, by which a load balancer for TCP reports the clients of its connections.
///
/// ```swift
/// port.settings.proxyProtocol = ProxyProtocol(from: ["10.0.0.0/8"])
/// ```
///
/// Each connection begins with a header, in front of TLS. The address in it is the remote address of the connection
/// everywhere: for handlers, logs, limits and ``Dispatch``. A connection that the balancer opens for itself (LOCAL),
/// and one whose header has no IP address (UNKNOWN), keeps the address of the balancer. Further information in the
/// header, such as that about TLS, is ignored.
///
/// Connections from other sources are closed, as are those without a complete header within
/// ``PortSettings/headTimeout``. They are counted, and a line is logged at most once every ten seconds.
public struct ProxyProtocol: Sendable, Hashable {
    /// The load balancers: addresses ("10.1.2.3", "::1"), blocks ("10.0.0.0/8", "fd00::/8"), and "unix" for all clients
    /// of Unix sockets. At most 1,024.
    public var sources: [String]

    /// Expects the header on connections from these sources.
    public init(from sources: [String]) { self.sources = sources }

    private static let unix = "unix"

    /// Throws an error that names the first invalid source.
    func check(_ name: String) throws(ServerError) {
        guard (1...Int(CRE_MAX_PROXIES)).contains(sources.count) else {
            throw .setting("\(name): proxyProtocol must have 1...1,024 sources, got \(sources.count)")
        }
        for source in sources where source != ProxyProtocol.unix && AddressBlock(source) == nil {
            throw .setting(
                """
                \(name): proxyProtocol must have addresses, blocks like "10.0.0.0/8" or "unix", got "\(source)"
                """)
        }
    }

    /// The sources in the form of the C core.
    var ranges: [cre_address_range] {
        sources.compactMap { source in
            guard source == ProxyProtocol.unix else { return AddressBlock(source)?.range }
            var all = cre_address_range()
            all.family = UInt16(AF_UNIX)
            return all
        }
    }
}
