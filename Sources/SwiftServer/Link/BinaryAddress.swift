internal import CReactor
internal import Glibc

/// The IPv4 or IPv6 address of one end of a connection in binary form. Making its text is left to those who need it.
struct BinaryAddress: Sendable, Equatable {
    private let family: UInt8
    /// The bytes in the order of the network.
    private let first, second: UInt64

    /// The room that ``write(to:)`` needs, in bytes.
    static let textSize = Int(INET6_ADDRSTRLEN)

    /// No address.
    init() { (family, first, second) = (0, 0, 0) }

    private init(family: UInt8, bytes: UnsafeRawBufferPointer) {
        self.family = family
        (first, second) = unsafe (
            bytes.loadUnaligned(as: UInt64.self), bytes.loadUnaligned(fromByteOffset: 8, as: UInt64.self)
        )
    }

    /// The address of the remote end.
    init(_ info: cre_connection_info) {
        self = unsafe withUnsafeBytes(of: info.remote_address) { unsafe Self(family: info.family, bytes: $0) }
    }

    /// The address of the local end; no address when it is unknown.
    init(localOf info: cre_connection_info) {
        self = unsafe withUnsafeBytes(of: info.local_address) { unsafe Self(family: info.local_family, bytes: $0) }
    }

    /// The address of the remote end of a connection, or of one that has left its entry; `nil` when there is none any
    /// more.
    init?(_ fd: ConnectionID, _ bus: Bus) {
        var info = cre_connection_info()
        let size = MemoryLayout<cre_connection_info>.size
        guard unsafe cre_table_get_last_info(bus.table, fd.rawValue, &info, size) else { return nil }
        self.init(info)
    }

    /// The address as text: "127.0.0.1" or "::1"; empty when there is none, as of Unix sockets.
    var text: String {
        unsafe withUnsafeTemporaryAllocation(of: UInt8.self, capacity: BinaryAddress.textSize) { room in
            let start = unsafe room.baseAddress.unsafelyUnwrapped
            let length = unsafe write(to: start)
            return unsafe String(decoding: UnsafeBufferPointer(start: start, count: length), as: UTF8.self)
        }
    }

    /// Writes the text and returns its length.
    func write(to room: UnsafeMutablePointer<UInt8>) -> Int {
        switch Int32(family) {
        case AF_INET: unsafe writeIPv4(to: room)
        case AF_INET6: unsafe writeIPv6(to: room)
        default: 0
        }
    }

    private func writeIPv4(to room: UnsafeMutablePointer<UInt8>) -> Int {
        var length = 0
        unsafe withUnsafeBytes(of: first) { bytes in
            for index in 0..<4 {
                let number = unsafe bytes[index]
                if index > 0 {
                    unsafe room[length] = UInt8(ascii: ".")
                    length += 1
                }
                if number >= 100 {
                    unsafe room[length] = UInt8(ascii: "0") + number / 100
                    length += 1
                }
                if number >= 10 {
                    unsafe room[length] = UInt8(ascii: "0") + number / 10 % 10
                    length += 1
                }
                unsafe room[length] = UInt8(ascii: "0") + number % 10
                length += 1
            }
        }
        return length
    }

    private func writeIPv6(to room: UnsafeMutablePointer<UInt8>) -> Int {
        unsafe withUnsafeBytes(of: (first, second)) { bytes in
            unsafe room.withMemoryRebound(to: CChar.self, capacity: BinaryAddress.textSize) { room in
                let size = socklen_t(BinaryAddress.textSize)
                return unsafe inet_ntop(AF_INET6, bytes.baseAddress, room, size).map { unsafe strlen($0) } ?? 0
            }
        }
    }
}
