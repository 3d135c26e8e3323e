import Testing

@testable import SwiftServer

/// The parts of the HTTP client that need no server.
@Suite struct HTTPClientUnitTests {
    @Test(arguments: [
        ("http://a/b/c/d?q", "g", "http://a/b/c/g"), ("http://a/b/c/d?q", "./g", "http://a/b/c/g"),
        ("http://a/b/c/d?q", "g/", "http://a/b/c/g/"), ("http://a/b/c/d?q", "/g", "http://a/g"),
        ("http://a/b/c/d?q", "//g", "http://g/"), ("http://a/b/c/d?q", "?y", "http://a/b/c/d?y"),
        ("http://a/b/c/d?q", "g?y", "http://a/b/c/g?y"), ("http://a/b/c/d?q", "#s", "http://a/b/c/d?q"),
        ("http://a/b/c/d?q", "", "http://a/b/c/d?q"), ("http://a/b/c/d?q", ".", "http://a/b/c/"),
        ("http://a/b/c/d?q", "..", "http://a/b/"), ("http://a/b/c/d?q", "../g", "http://a/b/g"),
        ("http://a/b/c/d?q", "../../../g", "http://a/g"), ("http://a/b/c/d?q", "g?y/./x", "http://a/b/c/g?y/./x"),
        ("http://a/b/c/d?q", "g#s/../x", "http://a/b/c/g"), ("http://a/b/c/d?q", "./../g/.", "http://a/b/g/"),
        ("https://a:444/b", "g", "https://a:444/g"), ("https://a/b", "//c:80/d", "https://c:80/d"),
        ("http://a", "https://b:443", "https://b/"), ("http://[::1]:80/", "x y", "http://[::1]/x%20y"),
        ("http://a/", "/grüße", "http://a/gr%C3%BC%C3%9Fe"),
    ])
    func references(_ base: String, reference: String, expected: String) throws {
        let url = try ClientURL(base, .http).resolving(reference)
        #expect(url.text == expected)
    }

    @Test(arguments: ["ftp://a", "mailto:a", "//", "http://u@a/", "http://a:0/"])
    func invalidReferences(_ reference: String) {
        #expect(throws: ClientError.self) { _ = try ClientURL("http://a/b", .http).resolving(reference) }
    }

    @Test func fields() {
        var fields: HTTPClient.Fields = ["Accept": "a", "X-One": "1"]
        fields.add("accept", "b")
        #expect(fields["ACCEPT"] == "a" && fields.all("Accept") == ["a", "b"] && fields.count == 3)
        fields["accept"] = "c"
        #expect(fields.map(\.name) == ["X-One", "accept"] && fields["Accept"] == "c")
        fields["x-one"] = nil
        #expect(fields["X-One"] == nil && fields.count == 1 && !fields.isEmpty)
        #expect(fields["Accept_"] == nil && fields["accep@"] == nil)
    }

    @Test func settingsAreChecked() {
        let changes: [(String, (inout HTTPClientSettings) -> Void)] = [
            ("connectTimeout", { $0.connectTimeout = .zero }), ("readTimeout", { $0.readTimeout = .seconds(90_000) }),
            ("timeout", { $0.timeout = .zero }), ("idleTimeout", { $0.idleTimeout = .zero }),
            ("maxConnectionsPerOrigin", { $0.maxConnectionsPerOrigin = 0 }),
            ("maxIdleConnections", { $0.maxIdleConnections = -1 }), ("maxWaiting", { $0.maxWaiting = -1 }),
            ("maxRedirects", { $0.maxRedirects = 101 }), ("maxBuffer", { $0.maxBuffer = 0 }),
            ("maxQueue", { $0.maxQueue = 0 }), ("maxHead", { $0.maxHead = 65_536 }),
            ("maxDecompressed", { $0.maxDecompressed = 0 }), ("continueTimeout", { $0.continueTimeout = .zero }),
            ("continueThreshold", { $0.continueThreshold = -1 }),
            ("proxy.port", { $0.proxy = HTTPProxy(host: "a", port: 0) }),
            ("proxy.host", { $0.proxy = HTTPProxy(host: "", port: 1) }),
        ]
        for (name, change) in changes {
            var settings = HTTPClientSettings()
            change(&settings)
            let error = #expect(throws: ClientError.self) { try settings.check() }
            #expect(error?.message.hasPrefix(name + " must be") == true)
        }
        #expect(throws: Never.self) { try HTTPClientSettings().check() }
    }

    @Test func proxiesExcludeHosts() {
        let proxy = HTTPProxy(host: "p", port: 1, excluded: ["localhost", ".Example.com"])
        #expect(!proxy.serves("LOCALHOST") && !proxy.serves("a.example.com"))
        #expect(proxy.serves("example.com") && proxy.serves("notlocalhost"))
    }

    @Test func largeBodiesAreAnnounced() throws {
        func expects(
            _ body: HTTPClientRequest.Body, _ headers: HTTPClient.Fields = [:], threshold: Int? = 10
        ) throws -> Bool {
            var settings = HTTPClientSettings()
            settings.continueThreshold = threshold
            let hop = try HTTPHop(HTTPClientRequest("http://a", method: "PUT", headers: headers, body: body), settings)
            #expect(hop.headers["Expect"] == nil)
            return hop.expectsContinue
        }
        #expect(try expects(.text("0123456789")) && !expects(.text("012345678")) && !expects(.empty))
        #expect(try expects(.stream(Pieces([]))) && expects(.stream(Pieces([]), length: 10)))
        #expect(try !expects(.stream(Pieces([]), length: 9)) && !expects(.stream(Pieces([])), threshold: nil))
        #expect(try expects(.text("a"), ["Expect": "100-Continue"], threshold: nil))
        #expect(try !expects(.text("0123456789"), ["Expect": ""]))
        for body in [HTTPClientRequest.Body.empty, .bytes([]), .stream(Pieces([]), length: 0)] {
            #expect(try !expects(body, ["Expect": "100-continue"]) && !expects(body, threshold: 0))
        }
        let error = #expect(throws: ClientError.self) { _ = try expects(.text("a"), ["Expect": "200-ok"]) }
        #expect(error?.message == "the field Expect must be 100-continue or empty, got 200-ok")
    }

    @Test func proxiesWithTLSHaveConnectionsOfTheirOwn() throws {
        func origin(_ url: String, _ proxy: HTTPProxy?) throws -> HTTPOrigin {
            var settings = HTTPClientSettings()
            settings.proxy = proxy
            return try HTTPHop(HTTPClientRequest(url), settings).origin
        }
        let plain = HTTPProxy(host: "p", port: 443)
        let secure = HTTPProxy(host: "p", port: 443, tls: ClientTLS())
        let origins = try [
            origin("http://a", plain), origin("http://a", secure), origin("https://a", plain),
            origin("https://a", secure), origin("https://p", nil),
        ]
        #expect(Set(origins).count == origins.count)
        let other = try origin("http://b", secure)
        #expect(other == origins[1] && !other.isSecure && other.tunnel == nil)
    }

    @Test func trailersNeedABodyOfUnknownLength() throws {
        var request = HTTPClientRequest("http://a", method: "PUT", body: .text("b"))
        request.trailers = { [:] }
        let hop = try HTTPHop(request, HTTPClientSettings())
        #expect(!hop.body.isRepeatable && hop.trailers != nil)
        request.body = .stream(Pieces([]), length: 5)
        #expect(throws: ClientError.self) { _ = try HTTPHop(request, HTTPClientSettings()) }
    }

    @Test func redirectsKeepWhatTheyMay() throws {
        var request = HTTPClientRequest("http://a/x", method: "POST", body: .text("b"))
        request.headers = ["Content-Type": "text/plain", "Authorization": "x", "X-Other": "y"]
        let hop = try HTTPHop(request, HTTPClientSettings())
        let get = try #require(try hop.next(status: 303, location: "/y", HTTPClientSettings()))
        #expect(get.method == "GET" && get.headers["Content-Type"] == nil && get.headers["Authorization"] == "x")
        let same = try #require(try hop.next(status: 308, location: "HTTP://A:80/y", HTTPClientSettings()))
        #expect(same.method == "POST" && same.headers["Content-Type"] != nil && same.headers["Authorization"] == "x")
        let secure = try #require(try hop.next(status: 307, location: "https://a/y", HTTPClientSettings()))
        #expect(secure.headers["Authorization"] == nil && secure.headers["X-Other"] == "y" && secure.redirects == 1)
        for status in [200, 300, 304, 305, 400] {
            let next = try hop.next(status: status, location: "/y", HTTPClientSettings())
            #expect(next == nil)
        }
    }
}
