import CReactor
import Glibc
import Testing

@testable import SwiftServer

/// The setting of the PROXY protocol.
@Suite struct ProxyProtocolTests {
    @Test func sourcesReachTheCore() throws {
        var settings = PortSettings()
        settings.proxyProtocol = ProxyProtocol(from: ["192.0.2.7", "10.0.0.0/9", "2001:db8::/33", "unix"])
        settings.headTimeout = .seconds(3)
        try settings.check("the port", .tcp)
        try settings.checkUse("the port", .tcp, isLocal: false)
        let options = unsafe settings.options(.tcp, servesHTTP: false)
        let ranges = unsafe Array(UnsafeBufferPointer(start: options.proxies, count: Int(options.proxy_count)))
        #expect(ranges.map { Int32($0.family) } == [AF_INET, AF_INET, AF_INET6, AF_UNIX])
        #expect(ranges.map(\.prefix) == [32, 9, 33, 0])
        let first = unsafe withUnsafeBytes(of: ranges[0].bytes) { unsafe [UInt8]($0.prefix(5)) }
        #expect(first == [192, 0, 2, 7, 0])
        #expect(unsafe options.head_timeout_ms == 3000)
        #expect(unsafe PortSettings().options(.tcp, servesHTTP: false).proxies == nil)
    }

    @Test(arguments: [[], ["10.0.0.0/33"], ["::1", "host"], [""], [String](repeating: "::1", count: 1025)])
    func invalidSourcesAreRefused(_ sources: [String]) throws {
        var settings = PortSettings()
        settings.proxyProtocol = ProxyProtocol(from: sources)
        let error = try #require(throws: ServerError.self) { try settings.check("the port", .webSocket) }
        #expect(error.code == .invalidSetting && error.message.hasPrefix("the port: proxyProtocol must have "))
    }

    @Test func itNeedsConnections() throws {
        var settings = PortSettings()
        settings.proxyProtocol = ProxyProtocol(from: ["::1"])
        let error = try #require(throws: ServerError.self) {
            try settings.checkUse("the port", .udp, isLocal: false)
        }
        #expect(error.message == "the port: proxyProtocol has no effect there: it belongs to a port with connections")
    }
}
