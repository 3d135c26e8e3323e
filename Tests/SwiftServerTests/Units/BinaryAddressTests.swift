import CReactor
import Glibc
import Testing

@testable import SwiftServer

@Suite struct BinaryAddressTests {
    private func address(_ text: String, _ family: Int32) -> BinaryAddress {
        var info = cre_connection_info()
        info.family = UInt8(family)
        let result = unsafe inet_pton(family, text, &info.remote_address)
        #expect(result == 1)
        return BinaryAddress(info)
    }

    @Test(arguments: ["0.0.0.0", "127.0.0.1", "1.20.255.9", "10.0.100.200", "255.255.255.255"])
    func addressesOfIPv4(_ text: String) {
        let read = address(text, AF_INET)
        #expect(read.text == text)
        #expect(read != BinaryAddress())
    }

    @Test(arguments: ["::", "::1", "2001:db8::8:800:200c:417a", "ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff"])
    func addressesOfIPv6(_ text: String) {
        let read = address(text, AF_INET6)
        #expect(read.text == text)
    }

    @Test func localAddressesMayBeUnknown() {
        var info = cre_connection_info()
        info.family = UInt8(AF_INET)
        info.local_address.0 = 10
        #expect(BinaryAddress(localOf: info).text.isEmpty)
        info.local_family = UInt8(AF_INET)
        #expect(BinaryAddress(localOf: info).text == "10.0.0.0")
        #expect(BinaryAddress(info).text == "0.0.0.0")
    }

    @Test func otherSocketsHaveNone() {
        var info = cre_connection_info()
        info.family = UInt8(AF_UNIX)
        #expect(BinaryAddress(info).text.isEmpty)
        #expect(BinaryAddress().text.isEmpty)
    }
}
