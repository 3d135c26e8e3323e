import CReactor
import CReactorInternal
import Testing

@testable import SwiftServer

@Suite struct SettingsTests {
    struct Case: Sendable, CustomTestStringConvertible {
        let name: String
        let value: String
        let change: @Sendable (inout Settings) -> Void
        var testDescription: String { "\(name) \(value)" }

        init<Value: Sendable>(
            _ name: String, _ path: any WritableKeyPath<Settings, Value> & Sendable, _ value: Value
        ) {
            self.name = name
            self.value = "\(value)"
            change = { $0[keyPath: path] = value }
        }
    }

    static let numbers: [Case] = [
        Case("workerCount", \.workerCount, 0), Case("workerCount", \.workerCount, 513),
        Case("reactorCount", \.reactorCount, 0), Case("reactorCount", \.reactorCount, 257),
        Case("maxConnections", \.maxConnections, 0), Case("maxConnections", \.maxConnections, (1 << 24) + 1),
        Case("maxMessage", \.maxMessage, 1023), Case("maxMessage", \.maxMessage, (1 << 28) + 1),
        Case("maxBody", \.maxBody, 1023), Case("maxBody", \.maxBody, (1 << 28) + 1),
        Case("maxStreamedBody", \.maxStreamedBody, 1023), Case("maxQueue", \.maxQueue, 1023),
        Case("maxQueue", \.maxQueue, Int.max),
        Case("maxHead", \.maxHead, 255), Case("maxHead", \.maxHead, 65_536),
        Case("backlog", \.backlog, 0), Case("backlog", \.backlog, 65_536),
        Case("shutdownCode", \.shutdownCode, 1000), Case("shutdownCode", \.shutdownCode, 5000),
        Case("ringSize", \.ringSize, 2048), Case("ringSize", \.ringSize, 5000),
        Case("ringSize", \.ringSize, 1 << 29), Case("ringSize", \.ringSize, -4096),
    ]

    static let times: [Case] = [
        Case("spin", \.spin, .nanoseconds(-1)), Case("spin", \.spin, .microseconds(1001)),
        Case("headTimeout", \.headTimeout, .zero), Case("headTimeout", \.headTimeout, .seconds(86_401)),
        Case("bodyTimeout", \.bodyTimeout, .microseconds(999)), Case("bodyTimeout", \.bodyTimeout, .seconds(86_401)),
        Case("messageTimeout", \.messageTimeout, .zero),
        Case("idleTimeout", \.idleTimeout, .zero), Case("idleTimeout", \.idleTimeout, .seconds(86_401)),
        Case("closeTimeout", \.closeTimeout, .seconds(-1)), Case("closeTimeout", \.closeTimeout, .seconds(86_401)),
        Case("drainSpread", \.drainSpread, .seconds(-1)), Case("drainSpread", \.drainSpread, .milliseconds(5001)),
        Case("slowHandlerAfter", \.slowHandlerAfter, .zero),
        Case("slowHandlerAfter", \.slowHandlerAfter, .seconds(86_401)),
        Case("shutdownTimeout", \.shutdownTimeout, .zero),
        Case("shutdownTimeout", \.shutdownTimeout, .seconds(Int64.max)),
    ]

    @Test(arguments: numbers + times, ServerMode.supervised)
    func outOfRangeIsRefusedByName(_ bad: Case, _ mode: ServerMode) throws {
        var settings = Settings()
        bad.change(&settings)
        let error = try #require(throws: ServerError.self) { try settings.check(mode: mode) }
        #expect(error.code == .invalidSetting)
        #expect(error.message.hasPrefix(bad.name + " must be "))
        #expect(error.message.contains("got \(bad.value.replacing("Optional(", with: "").replacing(")", with: ""))"))
    }

    static let limits: [Case] = [
        Case("workerCount", \.workerCount, 1), Case("workerCount", \.workerCount, 512),
        Case("reactorCount", \.reactorCount, 1), Case("reactorCount", \.reactorCount, nil),
        Case("maxConnections", \.maxConnections, 1), Case("maxConnections", \.maxConnections, 1 << 24),
        Case("maxMessage", \.maxMessage, 1024), Case("maxMessage", \.maxMessage, 1 << 28),
        Case("maxBody", \.maxBody, 1024), Case("maxQueue", \.maxQueue, 1 << 28),
        Case("maxHead", \.maxHead, 256), Case("maxHead", \.maxHead, 65_535),
        Case("backlog", \.backlog, 1), Case("ringSize", \.ringSize, 4096), Case("ringSize", \.ringSize, 1 << 28),
        Case("spin", \.spin, .zero), Case("spin", \.spin, .milliseconds(1)),
        Case("closeTimeout", \.closeTimeout, .milliseconds(1)), Case("closeTimeout", \.closeTimeout, .seconds(86_400)),
    ]

    @Test(arguments: limits) func limitsThemselvesAreFine(_ good: Case) throws {
        var settings = Settings()
        good.change(&settings)
        try settings.check(mode: .process)
    }

    @Test func defaultsAreFine() throws {
        for mode in ServerMode.supervised { try Settings().check(mode: mode) }
    }

    /// max_request_threshold
    @Test func renewalIsSpreadWhereItIsWorthIt() {
        var settings = Settings()
        #expect(settings.requestQuota == 0 && settings.taskQuota == 0)
        settings.maxRequests = 10
        settings.maxTasks = 100
        #expect((0..<50).allSatisfy { _ in settings.requestQuota == 10 })
        #expect((0..<50).allSatisfy { _ in (101...150).contains(settings.taskQuota) })
        settings.maxTasksGrace = 0
        #expect(settings.taskQuota == 100)
    }

    @Test func reactorsFollowTheWorkers() {
        var settings = Settings()
        settings.workerCount = 1
        #expect(settings.reactors(mode: .process) == 1)
        settings.workerCount = 512
        #expect((1...8).contains(settings.reactors(mode: .process)))
        settings.reactorCount = 11
        #expect(settings.reactors(mode: .process) == 11)
        #expect(settings.reactors(mode: .base) == 0)
    }

    @Test func everyProcessHasAMailboxOfItsOwn() {
        let process = Server(port: 0)
        process.settings.workerCount = 3
        process.settings.reactorCount = 2
        process.settings.taskWorkerCount = 2
        process.addProcess("extra") { _ in }
        let layout = process.configuration().layout
        #expect(layout.nodes == 2 + 3 + 2 + 1 + 2)
        #expect(layout.owners == 0..<2)
        #expect(layout.taskNodes == 5..<7)
        #expect((0..<6).map { layout.node(of: $0) } == Array(2..<8))
        #expect(layout.id(ofNode: 1) == -1 && layout.id(ofNode: 2) == 0 && layout.id(ofNode: layout.manager) == -1)
        #expect(
            layout.role(of: 2) == .worker && layout.role(of: 3) == .taskWorker && layout.role(of: 5) == .user("extra"))
        #expect(layout.name(ofNode: 0) == "reactor 0" && layout.name(ofNode: 6) == "task worker 4")
        #expect(layout.name(ofNode: layout.master) == "the master")

        let base = Server(port: 0, mode: .base)
        base.settings.workerCount = 3
        #expect(base.configuration().layout.owners == 0..<3)
        let single = Server(port: 0, mode: .single)
        single.settings.taskWorkerCount = 2
        #expect(single.configuration().layout.processes == 1)
    }

    @Test func timesAreRoundedUpToMilliseconds() {
        #expect(Duration.zero.milliseconds == 0)
        #expect(Duration.nanoseconds(1).milliseconds == 1)
        #expect(Duration.microseconds(1000).milliseconds == 1)
        #expect(Duration.microseconds(1001).milliseconds == 2)
        #expect(Duration.seconds(86_400).milliseconds == 86_400_000)
        #expect(Duration.milliseconds(1500).nanoseconds == 1_500_000_000)
        #expect(Duration.nanoseconds(-5).nanoseconds == -5)
    }

    @Test func dispatchReachesTheCore() {
        for (rule, expected) in [
            (Dispatch.byConnection, CRE_DISPATCH_BY_CONNECTION), (.roundRobin, CRE_DISPATCH_ROUND_ROBIN),
            (.idleFirst, CRE_DISPATCH_IDLE), (.leastConnections, CRE_DISPATCH_LEAST_CONNECTIONS),
            (.byAddress, CRE_DISPATCH_BY_ADDRESS), (.byUser, CRE_DISPATCH_BY_USER),
            (.function { _ in nil }, CRE_DISPATCH_FUNCTION),
        ] {
            var config = unsafe cre_engine_config()
            unsafe rule.apply(to: &config, ports: [])
            #expect(unsafe config.dispatch == expected)
        }
    }

    @Test func settingsReachTheCore() {
        var settings = Settings()
        settings.maxMessage = 5000
        settings.maxHead = 6000
        settings.maxBody = 7000
        settings.maxQueue = 8000
        settings.headTimeout = .microseconds(1)
        settings.bodyTimeout = .seconds(2)
        settings.idleTimeout = .seconds(3)
        settings.closeTimeout = .seconds(4)
        let config = unsafe settings.engineConfig(servesHTTP: true)
        #expect(unsafe config.http)
        #expect(unsafe config.max_message == 5000 && config.max_head == 6000)
        #expect(unsafe config.max_body == 7000 && config.max_queue == 8000)
        #expect(unsafe config.head_timeout_ms == 1 && config.body_timeout_ms == 2000)
        #expect(unsafe config.idle_timeout_ms == 3000 && config.close_timeout_ms == 4000)
        let bus = settings.busConfig(nodes: 5)
        #expect(bus.nodes == 5 && bus.ring_bytes == 1 << 20 && bus.connections == 100_000 && bus.spin_ns == 5000)
        #expect(bus.max_payload >= 7000 + 6000)
    }
}
