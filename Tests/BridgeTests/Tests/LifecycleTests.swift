import Logging
import ServiceLifecycle
import SwiftServer
import SwiftServerLifecycle
import SwiftServerLogging
import Testing

extension BridgeTests {
    @Suite struct LifecycleTests {
        private struct Other: Service {
            let events: Recorder<String>

            func run() async throws {
                await withGracefulShutdownHandler {
                    while !Task.isCancelled, !events.values.contains("shutdown") {
                        try? await Task.sleep(for: .milliseconds(2))
                    }
                } onGracefulShutdown: {
                    events.add("shutdown")
                }
                events.add("other ended")
            }
        }

        private let logger = Logger(label: "test") { ServerLogHandler(label: $0) }

        private func makeServer(_ events: Recorder<String>, mode: ServerMode = .single) -> HTTPServer {
            let server = HTTPServer(port: 0, mode: mode)
            server.settings.logLevel = .none
            server.onRequest { _, response in response.end() }
            server.onStart { _ in events.add("started") }
            server.onShutdown { _ in events.add("server ended") }
            return server
        }

        private func group(_ services: [any Service]) -> ServiceGroup {
            ServiceGroup(
                configuration: ServiceGroupConfiguration(
                    services: services.map { .init(service: $0, successTerminationBehavior: .gracefullyShutdownGroup) },
                    logger: logger))
        }

        private func started(_ events: Recorder<String>) async throws {
            while !events.values.contains("started") { try await Task.sleep(for: .milliseconds(2)) }
        }

        @Test func aGracefulShutdownStopsTheServer() async throws {
            let events = Recorder<String>()
            let group = group([makeServer(events), Other(events: events)])
            let run = Task { try await group.run() }
            try await started(events)
            await group.triggerGracefulShutdown()
            try await run.value
            #expect(Set(events.values) == ["started", "shutdown", "server ended", "other ended"])
        }

        @Test func theEndOfTheServerStopsTheGroup() async throws {
            let events = Recorder<String>()
            let server = makeServer(events)
            let group = group([server, Other(events: events)])
            let run = Task { try await group.run() }
            try await started(events)
            server.shutdown()
            try await run.value
            #expect(events.values.contains("shutdown") && events.values.contains("other ended"))
        }

        @Test func cancellationStopsTheServer() async throws {
            let events = Recorder<String>()
            let group = group([makeServer(events), Other(events: events)])
            let run = Task { try await group.run() }
            try await started(events)
            run.cancel()
            _ = await run.result
            #expect(events.values.contains("server ended") && events.values.contains("other ended"))
        }

        @Test @MainActor func theServersOwnMethodIsCalledByItsName() async {
            let server = makeServer(Recorder<String>(), mode: .process)
            do throws(ServerError) {
                try await server.run()
                Issue.record("it was not refused")
            } catch {
                #expect(error.code == .threadsRunning)
            }
        }

        @Test func modesThatForkAreRefused() async throws {
            let events = Recorder<String>()
            let group = group([makeServer(events, mode: .process)])
            let error = await #expect(throws: ServerError.self) { try await group.run() }
            #expect(error?.message.contains("threads") == true)
            #expect(events.values == [])
        }
    }
}
