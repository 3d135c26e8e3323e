internal import CReactor
internal import Glibc

/// An IPv4 or IPv6 address with a port, or the path of a Unix socket.
public struct SocketAddress: Sendable, Hashable, CustomStringConvertible {
    private let family: UInt16
    private let number: UInt16
    private let scope: UInt32
    private let high: UInt64
    private let low: UInt64
    private let path: [UInt8]
    /// The index of the server's port that has received a packet of this sender.
    let receivedOn: UInt16?

    /// From text: an IPv4 or IPv6 address, or "unix:" and a path. `nil` when the text is invalid.
    public init?(host: String, port: Int = 0) {
        guard (0...65_535).contains(port) else { return nil }
        var address = cre_address()
        guard unsafe cre_address_parse(host, UInt16(port), &address) == 0 else { return nil }
        self.init(address, receivedOn: nil)
    }

    init(_ address: cre_address, receivedOn: UInt16?) {
        family = address.family
        number = address.port
        scope = address.scope
        self.receivedOn = receivedOn
        let isPath = address.family == UInt16(AF_UNIX)
        let bytes = address.bytes
        (high, low, path) = unsafe withUnsafeBytes(of: bytes) {
            isPath
                ? (0, 0, unsafe [UInt8]($0.prefix(Int(address.length))))
                : (unsafe $0.load(as: UInt64.self), unsafe $0.load(fromByteOffset: 8, as: UInt64.self), [])
        }
    }

    /// The form of the C core.
    var core: cre_address {
        var address = cre_address()
        address.family = family
        address.port = number
        address.scope = scope
        address.length = family == UInt16(AF_INET) ? 4 : family == UInt16(AF_INET6) ? 16 : UInt16(path.count)
        unsafe withUnsafeMutableBytes(of: &address.bytes) {
            if path.isEmpty {
                unsafe $0.storeBytes(of: high, as: UInt64.self)
                unsafe $0.storeBytes(of: low, toByteOffset: 8, as: UInt64.self)
            } else {
                unsafe $0.copyBytes(from: path.prefix($0.count))
            }
        }
        return address
    }

    /// The address without the port, in the form that ``init(host:port:)`` takes.
    public var host: String {
        var address = core
        return unsafe String(unsafeUninitializedCapacity: 160) { room in
            unsafe room.withMemoryRebound(to: CChar.self) {
                unsafe cre_address_text(&address, $0.baseAddress, $0.count)
            }
        }
    }

    /// 0 for a Unix socket.
    public var port: Int { Int(number) }

    /// Address and port, as they are written together.
    public var description: String {
        family == UInt16(AF_INET6) ? "[\(host)]:\(port)" : family == UInt16(AF_UNIX) ? host : "\(host):\(port)"
    }

    /// Whether both are the same address and port; the port that received them does not count.
    public static func == (a: SocketAddress, b: SocketAddress) -> Bool {
        a.family == b.family && a.number == b.number && a.scope == b.scope && a.high == b.high && a.low == b.low
            && a.path == b.path
    }

    /// Hashes what `==` compares.
    public func hash(into hasher: inout Hasher) {
        hasher.combine(number)
        hasher.combine(high)
        hasher.combine(low)
        hasher.combine(path)
    }
}
