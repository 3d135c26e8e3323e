import Logging
import SwiftServerLogging
import SwiftServerTesting
import Testing

extension BridgeTests {
    @Suite struct LoggingTests {
        private struct RecordingHandler: LogHandler {
            let recorder: Recorder<LogEvent>
            var metadataProvider: Logger.MetadataProvider?
            var metadata = Logger.Metadata()
            var logLevel = Logger.Level.trace

            init(_ recorder: Recorder<LogEvent>) { self.recorder = recorder }

            subscript(metadataKey key: String) -> Logger.MetadataValue? {
                get { metadata[key] }
                set { metadata[key] = newValue }
            }

            func log(event: LogEvent) { recorder.add(event) }
        }

        private func failingServer() -> HTTPServer {
            struct Failure: Error {}
            let server = HTTPServer(port: 0, mode: .single)
            server.onRequest { _, _ in throw Failure() }
            return server
        }

        @Test func linesOfTheServerReachTheLogger() async throws {
            let recorder = Recorder<LogEvent>()
            let server = failingServer()
            server.log(to: Logger(label: "test") { _ in RecordingHandler(recorder) })
            defer { server.log(to: nil) }
            try await withServer(server) { client in
                let status = try await client.get("/").status
                #expect(status == 500)
            }
            let errors = recorder.values.filter { $0.level == .error }
            #expect(errors.count == 1)
            #expect(errors.first?.source == "SwiftServer")
            #expect(errors.first.map { "\($0.message)" }?.contains("Failure") == true)
            #expect(recorder.values.contains { $0.level == .notice && "\($0.message)".contains("listening on") })
        }

        @Test func bothLevelsSelect() async throws {
            let recorder = Recorder<LogEvent>()
            let server = failingServer()
            server.settings.logLevel = .debug
            var logger = Logger(label: "test") { _ in RecordingHandler(recorder) }
            logger.logLevel = .error
            server.log(to: logger)
            defer { server.log(to: nil) }
            try await withServer(server) { client in
                let status = try await client.get("/").status
                #expect(status == 500)
            }
            #expect(recorder.values.map(\.level) == [.error])
        }

        @Test func theHandlerWritesToTheServersLog() async throws {
            let server = HTTPServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.onRequest { _, response in
                var logger = Logger(label: "app") {
                    ServerLogHandler(label: $0, metadataProvider: .init { ["trace": "7", "room": "provider"] })
                }
                logger.log(level: .debug, "hidden")
                logger.handler.metadata["user"] = "Ann B"
                logger.log(level: .info, "joined", metadata: ["room": "main"])
                logger.log(level: .critical, "two\nlines\u{1b}[31m", metadata: ["quote": "a\"b"])
                logger.logLevel = .trace
                logger.log(level: .trace, "shown")
                response.end()
            }
            try await withServer(server) { client in
                _ = try await client.get("/")
                let lines = client.log.lines.filter { $0.message.hasPrefix("app") }
                #expect(lines.map(\.level) == [.notice, .error, .debug])
                #expect(
                    lines.map(\.message) == [
                        "app: joined room=main trace=7 user=\"Ann B\"",
                        "app: two\\nlines\\u{1B}[31m quote=\"a\\\"b\" room=provider trace=7 user=\"Ann B\"",
                        "app: shown room=provider trace=7 user=\"Ann B\"",
                    ])
            }
        }
    }
}
