import Metrics
import SwiftServerMetrics
import SwiftServerTesting
import Synchronization
import Testing

extension BridgeTests {
    @Suite struct MetricsTests {
        /// Metrics in memory, by label and the values of the dimensions.
        private final class MemoryFactory: MetricsFactory {
            private let values = Mutex<[String: Double]>([:])

            final class Handler: CounterHandler, MeterHandler, RecorderHandler, TimerHandler {
                let factory: MemoryFactory
                let name: String

                init(_ factory: MemoryFactory, _ label: String, _ dimensions: [(String, String)]) {
                    self.factory = factory
                    name = dimensions.reduce(label) { "\($0) \($1.0)=\($1.1)" }
                }

                func increment(by amount: Int64) { factory.change(name) { $0 + Double(amount) } }
                func increment(by amount: Double) { factory.change(name) { $0 + amount } }
                func decrement(by amount: Double) { factory.change(name) { $0 - amount } }
                func reset() { factory.change(name) { _ in 0 } }
                func set(_ value: Int64) { factory.change(name) { _ in Double(value) } }
                func set(_ value: Double) { factory.change(name) { _ in value } }
                func record(_ value: Int64) {}
                func record(_ value: Double) {}
                func recordNanoseconds(_ duration: Int64) {}
            }

            subscript(name: String) -> Double? { values.withLock { $0[name] } }

            func change(_ name: String, _ change: (Double) -> Double) {
                values.withLock { $0[name] = change($0[name] ?? 0) }
            }

            func makeCounter(label: String, dimensions: [(String, String)]) -> any CounterHandler {
                Handler(self, label, dimensions)
            }
            func makeMeter(label: String, dimensions: [(String, String)]) -> any MeterHandler {
                Handler(self, label, dimensions)
            }
            func makeRecorder(
                label: String, dimensions: [(String, String)], aggregate: Bool
            ) -> any RecorderHandler { Handler(self, label, dimensions) }
            func makeTimer(label: String, dimensions: [(String, String)]) -> any TimerHandler {
                Handler(self, label, dimensions)
            }
            func destroyCounter(_ handler: any CounterHandler) {}
            func destroyMeter(_ handler: any MeterHandler) {}
            func destroyRecorder(_ handler: any RecorderHandler) {}
            func destroyTimer(_ handler: any TimerHandler) {}
        }

        /// Waits for a condition: counters are published to all processes when a turn of the loop ends.
        @MainActor private func until(_ condition: () -> Bool) async throws {
            for _ in 0..<2000 where !condition() { try await Task.sleep(for: .milliseconds(5)) }
            #expect(condition())
        }

        @Test @MainActor func statisticsArePublishedAtAnInterval() async throws {
            let factory = MemoryFactory()
            let metrics = try StatisticsMetrics(prefix: "chat", factory: factory)
            let server = WebSocketServer(port: 0, mode: .single)
            server.onMessage { server, frame in server.push(frame, to: frame.fd) }
            server.onRequest { _, response in response.end("body") }
            server.onWorkerStart { server, _ in metrics.publish(server, every: .seconds(10)) }
            try await withServer(server, controlsTime: true) { client in
                let socket = try await client.webSocket()
                let answer = try await socket.ask("hello")
                #expect(answer == "hello")
                _ = try await client.get("/")
                try await until { server.stats().requests == 1 }
                try await client.advance(by: .seconds(9))
                #expect(factory["chat.connections"] == nil)

                try await client.advance(by: .seconds(1))
                #expect(factory["chat.connections"].map { $0 >= 1 } == true)
                #expect(factory["chat.messages_received"] == 1)
                #expect(factory["chat.requests"] == 1)
                #expect(factory["chat.messages_sent"] == 1)
                #expect(factory["chat.requests_in_progress"] == 0)
                #expect(factory["chat.requests_waiting"] == 0)

                // Totals are not added again.
                let second = try await socket.ask("again")
                #expect(second == "again")
                try await client.advance(by: .seconds(20))
                #expect(factory["chat.messages_received"] == 2)
                #expect(factory["chat.requests"] == 1)

                try await socket.close(code: 1000)
                try await until { server.stats().closedBy[.peer] == 1 }
                try await client.advance(by: .seconds(10))
                #expect(factory["chat.closed cause=\(CloseReason.Cause.peer)"] == 1)
                #expect(factory["chat.connections"].map { $0 <= 1 } == true)
            }
        }

        @Test @MainActor func theFactoryOfTheProcessIsTheDefault() throws {
            let factory = MemoryFactory()
            MetricsSystem.bootstrap(factory)
            let metrics = try StatisticsMetrics()
            metrics.publish(HTTPServer(port: 0).stats())
            #expect(factory["swiftserver.connections"] == 0)
            #expect(factory["swiftserver.loop_lag_longest_seconds"] == 0)
        }
    }
}
