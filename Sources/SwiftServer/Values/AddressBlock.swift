internal import CReactor
internal import Glibc

/// The IPv4 or IPv6 addresses that share their first bits.
struct AddressBlock: Sendable, Hashable {
    /// 4 or 16 bytes.
    let bytes: [UInt8]
    /// The number of the bits.
    let length: Int

    /// From "10.0.0.0/8", or an address alone.
    init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let bytes = AddressBlock.bytes(of: String(parts[0])) else { return nil }
        let most = bytes.count * 8
        if parts.count == 2 {
            guard let length = Int(parts[1]), (0...most).contains(length), parts[1].allSatisfy(\.isNumber) else {
                return nil
            }
            self.length = length
        } else {
            length = most
        }
        self.bytes = bytes
    }

    func contains(_ address: [UInt8]) -> Bool {
        guard address.count == bytes.count else { return false }
        return (0..<(length + 7) / 8).allSatisfy { index in
            let mask = UInt8(truncatingIfNeeded: 0xFF00 >> min(8, length - index * 8))
            return (address[index] ^ bytes[index]) & mask == 0
        }
    }

    /// The bytes of an IPv4 or IPv6 address; those of the IPv4 address for "::ffff:10.0.0.1".
    static func bytes(of text: String) -> [UInt8]? {
        var address = cre_address()
        guard !text.isEmpty, !text.hasPrefix("unix:"), unsafe cre_address_parse(text, 0, &address) == 0 else {
            return nil
        }
        let count = address.family == UInt16(AF_INET) ? 4 : 16
        let bytes = unsafe withUnsafeBytes(of: address.bytes) { unsafe [UInt8]($0.prefix(count)) }
        let mapped: [UInt8] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF]
        return bytes.count == 16 && bytes.starts(with: mapped) ? Array(bytes[12...]) : bytes
    }

    /// The block in the form of the C core.
    var range: cre_address_range {
        var range = cre_address_range()
        range.family = UInt16(bytes.count == 4 ? AF_INET : AF_INET6)
        range.prefix = UInt16(length)
        unsafe withUnsafeMutableBytes(of: &range.bytes) { unsafe $0.copyBytes(from: bytes) }
        return range
    }
}
