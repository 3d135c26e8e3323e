import SwiftServer
import SwiftServerTesting
import Testing

extension ProcessTests {
    /// Servers in the process of a test, with the clients of `SwiftServerTesting`.
    @Suite struct TestingTests {
        private struct Failure: Error {}

        private func makeServer() -> WebSocketServer {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.onMessage { server, frame in server.push(frame, to: frame.fd) }
            server.onRequest { request, response in
                switch request.path {
                case "/pieces":
                    _ = response.write("one ")
                    _ = response.write("two")
                    response.end()
                case "/empty":
                    response.status(204)
                    response.end()
                default:
                    response.header("X-Method", request.method)
                    response.end(
                        "\(request.header["x-name"] ?? "nobody") \(String(decoding: request.body, as: UTF8.self))")
                }
            }
            return server
        }

        @Test func clientsAreServed() async throws {
            let server = makeServer()
            server.settings.subprotocols = ["v2"]
            try await withServer(server) { client in
                #expect(client.port == server.port && client.port > 0)
                let response = try await client.request(
                    "PUT", "/", fields: [("X-Name", "Ann")], body: [UInt8]("body".utf8))
                #expect(response.status == 200 && response.body == "Ann body" && response["x-method"] == "PUT")
                #expect(try await client.post("/", "text").body == "nobody text")
                #expect(try await client.get("/pieces").body == "one two")
                #expect(try await client.get("/empty").status == 204)
                #expect(try await client.request("HEAD", "/").bytes == [])

                let socket = try await client.webSocket("/chat", subprotocols: ["v1", "v2"])
                #expect(socket.subprotocol == "v2" && socket.response.status == 101)
                #expect(try await socket.ask("hello") == "hello")
                try await socket.send([0, 255])
                #expect(try await socket.receive() == .binary([0, 255]))
                try await socket.ping([1])
                #expect(try await socket.receive() == .pong([1]))
                try await socket.send(frame: 1, [UInt8]("frag".utf8), final: false)
                try await socket.send(frame: 0, [UInt8]("ment".utf8))
                #expect(try await socket.receiveText() == "fragment")
                try await socket.close(code: 3000, reason: "done")
                #expect(try await socket.receive() == .close(3000, ""))
                #expect(try await socket.receive() == .end)

                let invalid = try await client.webSocket()
                try await invalid.send(frame: 1, [65], masked: false)
                #expect(try await invalid.receive() == .close(1002, ""))
            }
        }

        @Test func theServerIsStoppedWhenTheTestThrows() async throws {
            let server = makeServer()
            var port = 0
            await #expect(throws: Failure.self) {
                try await withServer(server) { client in
                    port = client.port
                    _ = try await client.webSocket()
                    throw Failure()
                }
            }
            #expect(throws: TestFailure.self) { _ = try RawConnection(port: port) }
            #expect(server.connections.count == 0)
        }

        /// Tests run at the same time, and only one server of a process can run.
        @Test func severalTestsTakeTurns() async throws {
            try await withThrowingTaskGroup(of: String.self) { group in
                for index in 0..<5 {
                    group.addTask {
                        try await withServer(makeServer()) { try await $0.post("/", "\(index)").body }
                    }
                }
                var bodies: Set<String> = []
                for try await body in group { bodies.insert(body) }
                #expect(bodies.count == 5)
            }
        }

        @Test @MainActor func theTestMayRunOnTheMainActor() async throws {
            var messages: [String] = []
            let server = makeServer()
            server.onMessage { server, frame in
                messages.append(frame.text)
                server.push("taken", to: frame.fd)
            }
            try await withServer(server) { client in
                let socket = try await client.webSocket()
                #expect(try await socket.ask("a") == "taken")
                #expect(messages == ["a"])
            }
        }

        @Test func theLogIsRecorded() async throws {
            let server = makeServer()
            server.handle("/fails") { _, _ in throw Failure() }
            server.onStart { _ in Loop.tick(every: .zero) { _ in } }
            try await withServer(server) { client in
                let response = try await client.get("/fails")
                #expect(response.status == 500)
                #expect(client.log.errors.contains { $0.contains("tick(every:) must be 1 ms or more") })
                #expect(client.log.errors.contains { $0.contains("/fails") && $0.contains("Failure()") })
                #expect(client.log.lines.contains { $0.level == .notice && $0.message.contains("listening on") })
            }
        }

        @Test func serversThatCannotBeTested() async throws {
            for (server, cause) in [
                (WebSocketServer(port: 0), "mode: .single"),
                (WebSocketServer(host: "::1", port: 0, mode: .single), "host 127.0.0.1"),
            ] {
                let error = await #expect(throws: TestFailure.self) { try await withServer(server) { _ in } }
                #expect(error?.description.contains(cause) == true)
            }
            let error = await #expect(throws: ServerError.self) {
                try await withServer(WebSocketServer(port: 0, mode: .single)) { _ in }
            }
            #expect(error?.code == .missingHandler)
            // The turn was given back.
            let status = try await withServer(makeServer()) { try await $0.get("/").status }
            #expect(status == 200)
        }

        @Test func callsOfClientsAreLimitedInTime() async throws {
            try await withServer(makeServer(), patience: .milliseconds(50)) { client in
                let socket = try await client.webSocket()
                let error = await #expect(throws: TestFailure.self) { try await socket.receive() }
                #expect(error?.description.contains("in time") == true)
                let refused = try await client.connect()
                try await refused.send("invalid\r\n\r\n")
                #expect(try await refused.receive(through: "\r\n")?.hasPrefix("HTTP/1.1 400") == true)
            }
        }

        @Test @MainActor func aServerWithoutAPort() async throws {
            let server = makeServer()
            let lines = server.listen(.tcp)
            lines.onReceive { (server: WebSocketServer, fd: ConnectionID, bytes: [UInt8]) in
                server.send(bytes + [33], to: fd)
            }
            var closed = 0
            server.onClose { _, _, _ in closed += 1 }
            try await withServer(server, listens: false) { client in
                #expect(client.port == 0 && server.port == 0)
                #expect(try await client.post("/", "text").body == "nobody text")
                #expect(try await client.webSocket().ask("hello") == "hello")
                let raw = try await client.connect(toPort: 1)
                try await raw.send("ab")
                #expect(try await raw.receive(3) == [UInt8]("ab!".utf8))
                let error = await #expect(throws: TestFailure.self) { try await client.connect(toPort: 2) }
                #expect(error?.description.contains("the server has 2") == true)
            }
            #expect(closed == 2)
        }

        @Test @MainActor func theTestControlsTheTime() async throws {
            let server = makeServer()
            var fired: [String] = []
            server.onWorkerStart { server, _ in
                server.tick(every: .seconds(60)) { _ in fired.append("tick") }
                Loop.after(.seconds(90)) { fired.append("after") }
            }
            try await withServer(server, listens: false, controlsTime: true) { client in
                try await client.advance(by: .seconds(59))
                #expect(fired == [])
                try await client.advance(by: .seconds(61))
                #expect(fired == ["tick", "after", "tick"])
                try await client.advance(by: .seconds(3600))
                #expect(fired.count == 63)
            }
            try await withServer(makeServer()) { client in
                let error = await #expect(throws: TestFailure.self) { try await client.advance(by: .seconds(1)) }
                #expect(error?.description.contains("controlsTime: true") == true)
            }
        }

        @Test func aSleepingHandlerIsResumed() async throws {
            let server = makeServer()
            server.handle("/later") { _, ws in
                await server.sleep(for: .seconds(3600))
                ws.end("later")
            }
            try await withServer(server, listens: false, controlsTime: true) { client in
                async let response = client.get("/later")
                for _ in 0..<10_000 where await server.nextTimer == nil { try await Task.sleep(for: .milliseconds(1)) }
                try await client.advance(by: .seconds(3600))
                #expect(try await response.body == "later")
            }
        }
    }
}
