import CReactor
import Testing

@testable import SwiftServer

/// Options that a port does not have are refused by name, and never ignored.
@Suite struct PortSettingsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let change: @Sendable (inout PortSettings) -> Void
        var testDescription: String { name }

        init<Value: Sendable>(
            _ name: String, _ path: any WritableKeyPath<PortSettings, Value> & Sendable, _ value: Value
        ) {
            self.name = name
            change = { $0[keyPath: path] = value }
        }
    }

    static let bad: [Case] = [
        Case("descriptor", \.descriptor, 0), Case("descriptor", \.descriptor, -1),
        Case("socketName", \.socketName, ""), Case("socketName", \.socketName, "a:b"),
        Case("permissions", \.permissions, 0), Case("permissions", \.permissions, 0o1777),
        Case("keepAlive", \.keepAlive, KeepAlive(idle: .milliseconds(999))),
        Case("keepAlive", \.keepAlive, KeepAlive(interval: .zero)),
        Case("keepAlive", \.keepAlive, KeepAlive(idle: .seconds(32_768))),
        Case("keepAlive", \.keepAlive, KeepAlive(count: 0)), Case("keepAlive", \.keepAlive, KeepAlive(count: 128)),
        Case("deferAccept", \.deferAccept, .zero), Case("fastOpen", \.fastOpen, 0),
        Case("headTimeout", \.headTimeout, .zero), Case("bodyTimeout", \.bodyTimeout, .seconds(-1)),
        Case("messageTimeout", \.messageTimeout, .zero),
        Case("idleTimeout", \.idleTimeout, .seconds(86_401)), Case("closeTimeout", \.closeTimeout, .microseconds(999)),
        Case("maxQueue", \.maxQueue, 1023), Case("backlog", \.backlog, 0),
        Case("maxStreams", \.maxStreams, 0), Case("maxStreams", \.maxStreams, 10_001),
        Case("streamWindow", \.streamWindow, 65_534), Case("streamWindow", \.streamWindow, (16 << 20) + 1),
        Case("connectionWindow", \.connectionWindow, 65_534),
        Case("connectionWindow", \.connectionWindow, (64 << 20) + 1),
    ]

    @Test(arguments: bad) func outOfRangeIsRefusedByName(_ bad: Case) throws {
        var settings = PortSettings()
        bad.change(&settings)
        let error = try #require(throws: ServerError.self) { try settings.check("the port", .tcp) }
        #expect(error.code == .invalidSetting)
        #expect(error.message.hasPrefix("the port: \(bad.name) must be "))
    }

    static let good: [Case] = [
        Case("descriptor", \.descriptor, 1), Case("permissions", \.permissions, 0o777),
        Case("keepAlive", \.keepAlive, KeepAlive(idle: .seconds(1), interval: .seconds(32_767), count: 127)),
        Case("deferAccept", \.deferAccept, .milliseconds(1)), Case("idleTimeout", \.idleTimeout, .seconds(86_400)),
    ]

    @Test(arguments: good) func limitsThemselvesAreFine(_ good: Case) throws {
        var settings = PortSettings()
        good.change(&settings)
        try settings.check("the port", .tcp)
    }

    @Test func settingsReachTheCore() {
        var settings = PortSettings()
        settings.headTimeout = .microseconds(1)
        settings.bodyTimeout = .seconds(2)
        settings.idleTimeout = .seconds(3)
        settings.closeTimeout = .seconds(4)
        settings.keepAlive = KeepAlive(idle: .milliseconds(1500), interval: .seconds(1), count: 2)
        let options = unsafe settings.options(.tcp, servesHTTP: false)
        #expect(unsafe options.head_timeout_ms == 1 && options.body_timeout_ms == 2000)
        #expect(unsafe options.idle_timeout_ms == 3000 && options.close_timeout_ms == 4000)
        let listening = unsafe settings.listenOptions(isDatagram: false, backlog: 1)
        #expect(unsafe listening.keep_idle_s == 2 && listening.keep_interval_s == 1 && listening.keep_count == 2)
        let plain = unsafe PortSettings().options(.tcp, servesHTTP: false)
        #expect(unsafe plain.idle_timeout_ms == 0)
    }

    @Test func settingsOfHTTP2ReachTheCore() {
        var settings = PortSettings()
        let standard = unsafe settings.options(.http, servesHTTP: true)
        #expect(unsafe !standard.http1_only && standard.max_streams == 0)
        settings.http2 = false
        settings.maxStreams = 7
        settings.streamWindow = 100_000
        settings.connectionWindow = 200_000
        let options = unsafe settings.options(.http, servesHTTP: true)
        #expect(unsafe options.http1_only && options.max_streams == 7)
        #expect(unsafe options.stream_window == 100_000 && options.connection_window == 200_000)
    }
}
