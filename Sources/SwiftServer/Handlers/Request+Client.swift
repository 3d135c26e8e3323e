/// The client of a request, seen through the proxies that ``Settings/trustedProxies`` names.
extension Request {
    /// The client's address: that of the remote end, or behind trusted proxies the first one, from the last proxy on,
    /// that is not trusted. `nil` outside of a server; "" for a Unix socket.
    public var clientAddress: String? { forwarded?.address ?? remoteAddress }

    /// "https" when the client used TLS, else "http"; also of handshakes, whose URL has "ws" or "wss". Behind a trusted
    /// proxy it is what the proxy reports; ``isSecure`` is about the connection itself.
    public var scheme: String { forwarded?.scheme ?? (isSecure ? "https" : "http") }

    /// The host that the client named, with a port if it gave one; behind a trusted proxy the one that the proxy
    /// reports.
    public var host: String { forwarded?.host ?? sentHost }

    /// A name of this request for logs and other services: that in ``Settings/requestIDField``, if a trusted proxy has
    /// sent one of 1 to 128 letters, digits and "-_.:+/=@"; else 32 hexadecimal digits. It is the same each time it is
    /// read.
    public var requestID: String {
        if let proxies = TrustedProxies.current, let name = proxies.requestIDField, let remote = remoteAddress,
            proxies.trusts(remote), let id = header[name], Request.isRequestID(id)
        {
            return id
        }
        let (first, second) = ownID
        return Request.hexadecimal(first) + Request.hexadecimal(second)
    }

    /// The numbers of which the name of a request is made that has none.
    var ownID: (first: UInt64, second: UInt64) {
        let first = Request.mixed(fd.rawValue &+ Request.seeds.0)
        let second = Request.mixed((UInt64(receivedAt) << 8 | UInt64(number)) ^ Request.seeds.1 ^ first)
        return (first, second)
    }

    private var forwarded: TrustedProxies.Client? {
        TrustedProxies.current == nil ? nil : remoteAddress.flatMap(forwarded(remote:))
    }

    private func forwarded(remote: String) -> TrustedProxies.Client? {
        guard let proxies = TrustedProxies.current, proxies.trusts(remote) else { return nil }
        return proxies.client(of: header, remote: remote)
    }

    /// The address of the client, when that of the remote end is known: the connection may be gone.
    func clientAddress(remote: String) -> String { forwarded(remote: remote)?.address ?? remote }

    /// Random, so that the names of two servers, or of two runs, differ.
    private static let seeds = (UInt64.random(in: 0 ... .max), UInt64.random(in: 0 ... .max))

    /// The finalizer of SplitMix64: different for different values.
    private static func mixed(_ value: UInt64) -> UInt64 {
        var value = value
        value = (value ^ value >> 30) &* 0xBF58_476D_1CE4_E5B9
        value = (value ^ value >> 27) &* 0x94D0_49BB_1331_11EB
        return value ^ value >> 31
    }

    private static func hexadecimal(_ value: UInt64) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.count) + digits
    }

    private static func isRequestID(_ id: String) -> Bool {
        (1...128).contains(id.utf8.count)
            && id.utf8.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-_.:+/=@".utf8.contains($0)
                }
            }
    }
}
