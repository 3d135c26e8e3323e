import SwiftServer
import SwiftServerTesting
import Testing

extension ProcessTests {
    /// Deadlines of handlers, in a time that the test controls.
    @Suite struct RequestTimeoutTests {
        private static func makeServer() -> HTTPServer {
            let server = HTTPServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.settings.requestTimeout = .seconds(30)
            server.onRequest { request, response in
                if request.path == "/short" { response.limit(to: .seconds(5)) }
                if request.path == "/begun" { try await response.write("begun ") }
                await server.sleep(for: .seconds(60))
                response.end("late")
            }
            return server
        }

        @Test(arguments: [("/", 30), ("/short", 5)])
        func aLateHandlerIsAnsweredFor(_ path: String, _ seconds: Int) async throws {
            let server = RequestTimeoutTests.makeServer()
            try await withServer(server, listens: false, controlsTime: true) { client in
                async let response = client.get(path)
                // The limit and the sleep of the handler.
                for _ in 0..<10_000 where await server.nextTimer == nil { try await Task.sleep(for: .milliseconds(1)) }
                try await client.advance(by: .seconds(seconds))
                #expect(try await response.status == 503)
                #expect(client.log.lines.contains { $0.message.contains("was not answered in time") })
                // The handler goes on, to no effect.
                try await client.advance(by: .seconds(60))
            }
        }

        @Test func aResponseThatHasBegunIsNotLate() async throws {
            let server = RequestTimeoutTests.makeServer()
            try await withServer(server, listens: false, controlsTime: true) { client in
                async let response = client.get("/begun")
                for _ in 0..<10_000 where await server.nextTimer == nil { try await Task.sleep(for: .milliseconds(1)) }
                try await client.advance(by: .seconds(31))
                try await client.advance(by: .seconds(30))
                #expect(try await response.body == "begun late")
            }
        }

        @Test func theLimitIsChecked() {
            let server = RequestTimeoutTests.makeServer()
            server.settings.requestTimeout = .zero
            let error = #expect(throws: ServerError.self) { try server.start() }
            #expect(error?.message.hasPrefix("requestTimeout must be 1 ms to 1 day") == true)
        }
    }
}
