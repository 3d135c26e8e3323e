import Testing

@testable import SwiftServer

@Suite struct TrustedProxyTests {
    private static func proxies(_ list: [String], _ fields: ForwardedFields = .xForwarded) throws -> TrustedProxies {
        var settings = Settings()
        settings.trustedProxies = list
        settings.forwardedFields = fields
        return try TrustedProxies(settings)
    }

    private static func client(
        _ fields: String, _ kind: ForwardedFields = .xForwarded, remote: String = "10.0.0.1"
    ) throws -> TrustedProxies.Client {
        let request = try RequestTests.request("GET / HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
        return try proxies(["10.0.0.0/8", "fd00::/8"], kind).client(of: request.header, remote: remote)
    }

    @Test func addressesAndBlocks() throws {
        let proxies = try TrustedProxyTests.proxies(["192.0.2.7", "10.0.0.0/9", "2001:db8::/33", "::1"])
        for address in [
            "192.0.2.7", "10.0.0.1", "10.127.255.255", "2001:db8:7fff::1", "::1", "::ffff:10.1.1.1",
        ] {
            #expect(proxies.trusts(address), "\(address)")
        }
        for address in ["192.0.2.8", "10.128.0.0", "2001:db8:8000::1", "::2", "", "unix:/x", "text", "11.0.0.1"] {
            #expect(!proxies.trusts(address), "\(address)")
        }
        #expect(try TrustedProxyTests.proxies(["0.0.0.0/0"]).trusts("203.0.113.5"))
        #expect(try !TrustedProxyTests.proxies(["0.0.0.0/0"]).trusts("2001:db8::1"))
        #expect(try TrustedProxyTests.proxies(["unix"]).trusts(""))
        #expect(try TrustedProxyTests.proxies([]).isEmpty)
    }

    @Test(arguments: ["", "10.0.0.0/33", "10.0.0.0/", "10.0.0.0/-1", "10.0.0.0/+8", "host", "::/129", "unix:/x"])
    func invalidEntriesAreNamed(_ entry: String) throws {
        let error = #expect(throws: ServerError.self) { try TrustedProxyTests.proxies([entry]) }
        #expect(error?.message.contains("trustedProxies") == true && error?.message.contains("\"\(entry)\"") == true)
        var settings = Settings()
        settings.trustedProxies = [entry]
        #expect(throws: ServerError.self) { try settings.check(mode: .process) }
    }

    @Test func requestIDFieldNeedsProxies() {
        var settings = Settings()
        settings.requestIDField = "X-Request-Id"
        let error = #expect(throws: ServerError.self) { try settings.check(mode: .process) }
        #expect(error?.message == "requestIDField needs trustedProxies")
    }

    @Test func theClientIsTheLastOneThatIsNotTrusted() throws {
        #expect(try TrustedProxyTests.client("").address == "10.0.0.1")
        #expect(try TrustedProxyTests.client("X-Forwarded-For: 192.0.2.1\r\n").address == "192.0.2.1")
        #expect(try TrustedProxyTests.client("X-Forwarded-For: 1.1.1.1, 192.0.2.1\r\n").address == "192.0.2.1")
        #expect(
            try TrustedProxyTests.client("X-Forwarded-For: 1.1.1.1, 192.0.2.1, 10.2.3.4\r\n").address == "192.0.2.1")
        #expect(
            try TrustedProxyTests.client("X-Forwarded-For: 1.1.1.1\r\nX-Forwarded-For: 192.0.2.1,10.2.3.4\r\n").address
                == "192.0.2.1")
        // All of them are proxies: the first one is the client.
        #expect(try TrustedProxyTests.client("X-Forwarded-For: 10.9.9.9, 10.2.3.4\r\n").address == "10.9.9.9")
        // What no proxy can have written ends the walk.
        #expect(try TrustedProxyTests.client("X-Forwarded-For: 1.1.1.1, unknown, 10.2.3.4\r\n").address == "10.2.3.4")
        #expect(try TrustedProxyTests.client("X-Forwarded-For: [fd00::1]:80, 10.2.3.4:99\r\n").address == "fd00::1")
    }

    @Test func schemesAndHosts() throws {
        var client = try TrustedProxyTests.client(
            "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Host: a.example\r\n")
        #expect(client == .init(address: "192.0.2.1", scheme: "https", host: "a.example"))
        // The client has sent the first ones itself.
        client = try TrustedProxyTests.client(
            "X-Forwarded-For: 1.1.1.1, 192.0.2.1\r\nX-Forwarded-Proto: https, http\r\nX-Forwarded-Host: evil, a\r\n")
        #expect(client == .init(address: "192.0.2.1", scheme: "http", host: "a"))
        // A proxy in front sets the scheme only.
        client = try TrustedProxyTests.client("X-Forwarded-Proto: HTTPS\r\n")
        #expect(client == .init(address: "10.0.0.1", scheme: "https", host: nil))
        client = try TrustedProxyTests.client("X-Forwarded-Proto: gopher\r\nX-Forwarded-Host: a/b\r\n")
        #expect(client == .init(address: "10.0.0.1", scheme: nil, host: nil))
    }

    @Test func forwarded() throws {
        var client = try TrustedProxyTests.client(
            "Forwarded: for=1.1.1.1;proto=https, For=\"[2001:db8::1]:4711\";Proto=http;host=\"a:8080\"\r\n", .forwarded)
        #expect(client == .init(address: "2001:db8::1", scheme: "http", host: "a:8080"))
        client = try TrustedProxyTests.client(
            "Forwarded: for=192.0.2.1;host=a\r\nForwarded: for=10.2.3.4;proto=https\r\n", .forwarded)
        #expect(client == .init(address: "192.0.2.1", scheme: "https", host: "a"))
        client = try TrustedProxyTests.client("Forwarded: for=1.1.1.1, for=_hidden\r\n", .forwarded)
        #expect(client.address == "10.0.0.1")
        client = try TrustedProxyTests.client("Forwarded: for=\"1.1.1.1, for=2.2.2.2\r\n", .forwarded)
        #expect(client.address == "10.0.0.1")
        // The other fields do not count.
        client = try TrustedProxyTests.client("X-Forwarded-For: 1.1.1.1\r\n", .forwarded)
        #expect(client.address == "10.0.0.1")
        client = try TrustedProxyTests.client("Forwarded: for=1.1.1.1\r\n")
        #expect(client.address == "10.0.0.1")
    }
}
