import Testing

@testable import SwiftServer

/// Settings that would have no effect are errors that name them.
@Suite struct UnusedSettingsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let change: @Sendable (inout Settings) -> Void
        var testDescription: String { name }

        init(_ name: String, _ change: @escaping @Sendable (inout Settings) -> Void) {
            self.name = name
            self.change = change
        }
    }

    static let single: [Case] = [
        Case("workerCount") { $0.workerCount = 2 }, Case("maxRequests") { $0.maxRequests = 1 },
        Case("maxTasks") {
            $0.taskWorkerCount = 1
            $0.maxTasks = 1
        },
        Case("stuckAfter") { $0.stuckAfter = .seconds(1) }, Case("killsStuck") { $0.killsStuck = true },
        Case("taskTimeout") {
            $0.taskWorkerCount = 1
            $0.taskTimeout = .seconds(1)
        },
        Case("reload") { $0.reload = .newProgram },
    ]

    @Test(arguments: single) func aSingleProcessHasNoWorkers(_ bad: Case) throws {
        var settings = Settings()
        bad.change(&settings)
        for mode in ServerMode.supervised { try settings.check(mode: mode) }
        let error = try #require(throws: ServerError.self) { try settings.check(mode: .single) }
        #expect(error.code == .invalidSetting)
        #expect(error.message.hasPrefix("\(bad.name) has no effect in single mode"))
    }

    @Test func defaultsAreFineInASingleProcess() throws {
        var settings = Settings()
        try settings.check(mode: .single)
        settings.workerCount = 1
        settings.stuckAfter = nil
        settings.taskWorkerCount = 3
        try settings.check(mode: .single)
    }

    static let incomplete: [Case] = [
        Case("killsStuck needs stuckAfter") {
            $0.killsStuck = true
            $0.stuckAfter = nil
        },
        Case("maxRequestsGrace needs maxRequests") { $0.maxRequestsGrace = 1 },
        Case("maxTasksGrace needs maxTasks") {
            $0.taskWorkerCount = 1
            $0.maxTasksGrace = 1
        },
        Case("maxTasks needs taskWorkerCount") { $0.maxTasks = 1 },
        Case("taskTimeout needs taskWorkerCount") { $0.taskTimeout = .seconds(1) },
        Case("monitoringToken needs monitoringPort") { $0.monitoringToken = "0123456789abcdef" },
        Case("program needs reload = .newProgram") { $0.program = "x" },
    ]

    @Test(arguments: incomplete, ServerMode.supervised)
    func whatNeedsAnotherSettingSaysSo(_ bad: Case, _ mode: ServerMode) throws {
        var settings = Settings()
        bad.change(&settings)
        let error = try #require(throws: ServerError.self) { try settings.check(mode: mode) }
        #expect(error.code == .invalidSetting && error.message == bad.name)
    }

    struct PortCase: Sendable, CustomTestStringConvertible {
        let name: String
        let has: [PortProtocol]
        let change: @Sendable (inout PortSettings) -> Void
        var testDescription: String { name }

        init<Value: Sendable>(
            _ name: String, _ path: any WritableKeyPath<PortSettings, Value> & Sendable, _ value: Value,
            _ has: [PortProtocol]
        ) {
            self.name = name
            self.has = has
            change = { $0[keyPath: path] = value }
        }
    }

    static let ports: [PortCase] = [
        PortCase("maxPacket", \.maxPacket, 5, [.tcp, .udp]),
        PortCase("maxMessage", \.maxMessage, 2048, [.webSocket]),
        PortCase("maxHead", \.maxHead, 2048, [.webSocket, .http]),
        PortCase("maxBody", \.maxBody, 2048, [.webSocket, .http]),
        PortCase("streamRequestBodies", \.streamRequestBodies, true, [.webSocket, .http]),
        PortCase("maxStreamedBody", \.maxStreamedBody, 2048, [.webSocket, .http]),
        PortCase("http2", \.http2, false, [.webSocket, .http]),
        PortCase("maxStreams", \.maxStreams, 10, [.webSocket, .http]),
        PortCase("streamWindow", \.streamWindow, 65_535, [.webSocket, .http]),
        PortCase("connectionWindow", \.connectionWindow, 65_535, [.webSocket, .http]),
        PortCase("headTimeout", \.headTimeout, .seconds(1), [.webSocket, .http]),
        PortCase("bodyTimeout", \.bodyTimeout, .seconds(1), [.webSocket, .http]),
        PortCase("messageTimeout", \.messageTimeout, .seconds(1), [.webSocket]),
        PortCase("idleTimeout", \.idleTimeout, .seconds(1), [.webSocket, .http]),
        PortCase("keepAlive", \.keepAlive, KeepAlive(), [.webSocket, .http, .tcp]),
        PortCase("fastOpen", \.fastOpen, 5, [.webSocket, .http, .tcp]),
        PortCase("deferAccept", \.deferAccept, .seconds(1), [.webSocket, .http, .tcp]),
    ]

    @Test(arguments: ports, PortProtocol.allCases)
    func portsRefuseWhatTheyDoNotHave(_ option: PortCase, _ spoken: PortProtocol) throws {
        var settings = PortSettings()
        option.change(&settings)
        if option.has.contains(spoken) {
            try settings.checkUse("the port", spoken, isLocal: false)
        } else {
            let error = try #require(throws: ServerError.self) {
                try settings.checkUse("the port", spoken, isLocal: false)
            }
            #expect(error.message.hasPrefix("the port: \(option.name) has no effect there: it belongs to a "))
        }
    }

    @Test(arguments: PortProtocol.allCases) func framingIsForStreams(_ spoken: PortProtocol) throws {
        var settings = PortSettings()
        settings.framing = .endMarker("x")
        if spoken == .tcp { return try settings.check("the port", spoken) }
        let error = try #require(throws: ServerError.self) { try settings.check("the port", spoken) }
        #expect(error.message == "the port: framing needs a tcp port, not \(spoken)")
    }

    @Test func permissionsAreForFiles() throws {
        var settings = PortSettings()
        settings.permissions = 0o660
        try settings.checkUse("the port", .tcp, isLocal: true)
        let error = try #require(throws: ServerError.self) {
            try settings.checkUse("the port", .tcp, isLocal: false)
        }
        #expect(error.message == "the port: permissions has no effect there: it belongs to a Unix socket")
    }

    /// The check is part of the start.
    @Test func theStartRefuses() throws {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessage { _, _ in }
        server.ports[0].settings.maxPacket = 5
        let error = try #require(throws: ServerError.self) { try server.start() }
        #expect(error.message.contains("maxPacket has no effect"))
    }
}
