import Testing

@testable import SwiftServer

/// The parts of clients that need no server.
@Suite struct ClientTests {
    @Test(arguments: [
        ("ws://example.com", false, "example.com", 80, "/"),
        ("wss://example.com", true, "example.com", 443, "/"),
        ("WS://127.0.0.1:9501/chat?room=1#part", false, "127.0.0.1", 9501, "/chat?room=1"),
        ("ws://[::1]:9501?a=b", false, "::1", 9501, "/?a=b"),
        ("wss://[fe80::1]/x", true, "fe80::1", 443, "/x"),
        ("ws://a:/x", false, "a", 80, "/x"),
    ])
    func urls(_ text: String, isSecure: Bool, host: String, port: Int, target: String) throws {
        let url = try ClientURL(text, .webSocket)
        #expect(url.isSecure == isSecure && url.host == host && url.port == port && url.target == target)
    }

    @Test(arguments: [
        ("http://a", "must start with ws:// or wss://"), ("example.com", "must start with ws:// or wss://"),
        ("ws:a", "must start with ws:// or wss://"), ("ws://", "must have a host"), ("ws://:80/", "must have a host"),
        ("ws://user:secret@a/", "must not have a user"), ("ws://a:0/", "must have a port of 1 to 65535"),
        ("ws://a:65536/", "must have a port of 1 to 65535"), ("ws://a:+1/", "must have a port of 1 to 65535"),
        ("ws://[::1/", "has an invalid address"), ("ws://[::1]80/", "has an invalid port"),
        ("ws://a/ b", "must be at most"), ("ws://a/ä", "must be at most"),
        ("ws://a/" + String(repeating: "x", count: 40_000), "must be at most"),
    ])
    func invalidURLs(_ text: String, words: String) {
        let error = #expect(throws: ClientError.self) { _ = try ClientURL(text, .webSocket) }
        #expect(error?.code == .invalidArgument)
        #expect(error?.message.contains(words) == true)
    }

    @Test func delaysGrowUpToTheLongest() {
        let policy = ReconnectPolicy.exponential(from: .seconds(1), upTo: .seconds(30), jitter: 0.5)
        let delays = (1...7).map { policy.delay(before: $0, random: 0) }
        #expect(delays == [1, 2, 4, 8, 16, 30, 30].map { .seconds($0) })
        #expect(policy.delay(before: 3, random: 1) == .seconds(2))
        #expect(policy.delay(before: 3, random: 0.5) == .seconds(3))
        #expect(policy.delay(before: 1_000_000, random: 0) == .seconds(30))
        #expect(ReconnectPolicy.never.delay(before: 1, random: 0) == nil)
        let few = ReconnectPolicy.exponential(from: .seconds(1), attempts: 2)
        #expect(few.delay(before: 2, random: 0) != nil)
        #expect(few.delay(before: 3, random: 0) == nil)
    }

    @Test(arguments: [
        ReconnectPolicy.exponential(from: .zero), .exponential(from: .seconds(2), upTo: .seconds(1)),
        .exponential(jitter: 1.5), .exponential(attempts: 0), .exponential(upTo: .seconds(100_000)),
    ])
    func invalidPolicies(_ policy: ReconnectPolicy) {
        #expect(throws: ClientError.self) { try policy.check() }
    }

    @Test func settingsAreChecked() {
        for (name, change) in [
            ("maxMessage", { $0.maxMessage = 0 }), ("maxQueue", { $0.maxQueue = 0 }),
            ("connectTimeout", { $0.connectTimeout = .zero }), ("closeTimeout", { $0.closeTimeout = .zero }),
            ("pingInterval", { $0.pingInterval = .zero }), ("pingTimeout", { $0.pingTimeout = .zero }),
            ("reconnects", { $0.reconnects = .exponential(from: .zero) }),
        ] as [(String, (inout WebSocketClientSettings) -> Void)] {
            var settings = WebSocketClientSettings()
            change(&settings)
            let error = #expect(throws: ClientError.self) {
                _ = try settings.options(for: ClientURL("ws://a", .webSocket), tls: nil)
            }
            #expect(error?.message.hasPrefix(name) == true)
        }
    }
}
