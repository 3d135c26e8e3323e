import CDashboard
import Testing

@testable import SwiftServer

/// Who may use the dashboard, and what its page contains.
@Suite struct DashboardUnitTests {
    typealias Credentials = DashboardAccess.Credentials

    static let token = "0123456789abcdef"

    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let token: String?
        let credentials: Credentials
        /// The status of the refusal; `nil`: allowed.
        let read: Int?
        let act: Int?
        var testDescription: String { name }

        init(
            _ name: String, token: String? = DashboardUnitTests.token, _ host: String = "127.0.0.1:9464",
            origin: String? = nil, site: String? = nil, authorization: String? = nil, read: Int? = nil, act: Int? = nil
        ) {
            self.name = name
            self.token = token
            credentials = Credentials(host: host, origin: origin, site: site, authorization: authorization)
            self.read = read
            self.act = act
        }
    }

    static let right = "Bearer \(token)"

    static let cases: [Case] = [
        Case("no token is set", token: nil, act: 403),
        Case("no token is set, one is sent", token: nil, authorization: right, act: 403),
        Case("no token is set, host name", token: nil, "evil.example", read: 403, act: 403),
        Case("no token", act: 401), Case("token", authorization: right),
        Case("token, other case of the scheme", authorization: "bearer \(token)"),
        Case("wrong token", authorization: "Bearer 0123456789abcdeF", read: 401, act: 401),
        Case("longer token", authorization: right + "0", read: 401, act: 401),
        Case("empty token", authorization: "Bearer ", read: 401, act: 401),
        Case("other scheme", authorization: "Basic \(token)", read: 401, act: 401),
        // DNS rebinding: the page of somebody else, whose name resolves to this machine.
        Case("host name", "evil.example:9464", read: 401, act: 401),
        Case("host name that looks like an address", "127.0.0.1.evil.example", read: 401, act: 401),
        Case("host name and token", "metrics.example", authorization: right),
        Case("localhost", "localhost:9464", authorization: right),
        Case("IPv6", "[::1]:9464", authorization: right),
        // Pages of other sites.
        Case("same origin", origin: "http://127.0.0.1:9464", site: "same-origin", authorization: right),
        Case("same origin by TLS", "Dash.Example", origin: "https://dash.example", authorization: right),
        Case("other origin", origin: "http://127.0.0.1:80", authorization: right, act: 403),
        Case("no origin", origin: "null", authorization: right, act: 403),
        Case("other site", site: "cross-site", authorization: right, act: 403),
        Case("subdomain", site: "same-site", authorization: right, act: 403),
        Case("typed by hand", site: "none", authorization: right),
    ]

    private func status(_ check: () throws -> Void) throws -> Int? {
        do {
            try check()
            return nil
        } catch let refusal as ControlCommands.Refusal {
            #expect(!refusal.message.contains(Self.token), "a secret")
            return refusal.status
        }
    }

    @Test(arguments: cases) func accessIsDecided(_ test: Case) throws {
        let access = DashboardAccess(token: test.token)
        let read = try status { try access.checkRead(test.credentials) }
        #expect(read == test.read)
        let act = try status { try access.checkAction(test.credentials) }
        #expect(act == test.act)
        if test.act == nil { #expect(access.isAuthorized(test.credentials)) }
    }

    @Test(arguments: [
        ("", true), ("localhost", true), ("LOCALHOST:1", true), ("a.localhost", true), ("10.0.0.1:80", true),
        ("[fe80::1]:80", true), ("localhost.example", false), ("example", false), ("1.example:1", false),
        ("10.0.0.1.", false), (":80", false),
    ])
    func namesOfOthersAreRecognized(_ host: String, _ isOwn: Bool) {
        #expect(DashboardAccess.isOwnName(host) == isOwn)
    }

    /// One file without anything from elsewhere, whose policy allows no more than its own script and style.
    @Test func thePageIsSelfContained() throws {
        var length = 0
        let bytes = unsafe UnsafeBufferPointer(start: cda_page(&length), count: length)
        let page = try #require(unsafe String(validating: bytes, as: UTF8.self))
        #expect(page.hasPrefix("<!doctype html>") && page.hasSuffix("</html>\n"))
        #expect(page.matches(of: /\snonce=""/).count == 2)
        #expect(page.matches(of: /<(?:script|style)\b/).count == 2)
        // Handlers and styles in attributes would be blocked.
        #expect(page.firstMatch(of: /<[^>]*\s(?:on[a-z]+|style)=/) == nil)
        let links = page.matches(of: /(?:src|href)="([^"]*)"/).map(\.1).filter { !$0.hasPrefix("data:") }
        #expect(Set(links) == ["metrics", "healthz", "readyz"])
        #expect(page.matches(of: /https?:\/\//).count == page.matches(of: /http:\/\/www\.w3\.org\//).count)
        #expect(length < 64 << 10)
    }
}
