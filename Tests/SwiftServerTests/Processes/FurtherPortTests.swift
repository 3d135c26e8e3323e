import SwiftServer
import SwiftServerTesting
import Testing

extension ProcessTests {
    /// Ports beside the one that a server has by itself, and what belongs to a server and not to a port.
    @Suite struct FurtherPortTests {
        @Test @MainActor func withoutATypeItIsLikeTheServers() async throws {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.listen(port: 0)
            server.onMessage { server, frame in server.push("echo \(frame.text)", to: frame.fd) }
            server.onRequest { _, response in response.end("page") }
            try await withServer(server) { client in
                let connection = try await client.connect(toPort: 1)
                let page = try await connection.request("GET", "/")
                #expect(page.body == "page")
                try await connection.send(
                    "GET / HTTP/1.1\r\nHost: a\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
                        + "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n")
                #expect(try await connection.receive(through: "\r\n\r\n")?.hasPrefix("HTTP/1.1 101 ") == true)
                // "a", masked with zeros
                try await connection.send([0x81, 0x81, 0, 0, 0, 0, 0x61])
                #expect(try await connection.receive(8) == [0x81, 6] + Array("echo a".utf8))
            }
        }

        @Test @MainActor func aServerForStreamsMayHaveOneForHTTP() async throws {
            let server = Server(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.onReceive { server, fd, bytes in server.send(bytes, to: fd) }
            let port = server.listen(port: 0, .http)
            port.onRequest { request, response in response.end("page \(request.path)") }
            try await withServer(server) { client in
                let page = try await client.connect(toPort: 1).request("GET", "/a")
                #expect(page.body == "page /a")
                let stream = try await client.connect()
                try await stream.send("hello")
                #expect(try await stream.receive(5) == Array("hello".utf8))
            }
        }

        @Test @MainActor func otherOriginsOpenNoWebSockets() async throws {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.settings.allowedOrigins = ["https://example.com"]
            server.onMessage { server, frame in server.push(frame, to: frame.fd) }
            try await withServer(server, listens: false) { client in
                let socket = try await client.webSocket("/", fields: [("Origin", "https://example.com")])
                #expect(try await socket.ask("hello") == "hello")
                let refused = try await client.get(
                    "/",
                    fields: [
                        ("Origin", "https://example.org"), ("Upgrade", "websocket"), ("Connection", "Upgrade"),
                        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), ("Sec-WebSocket-Version", "13"),
                    ])
                #expect(refused.status == 403)
            }
        }

        @Test @MainActor func oneServerRunsAtATime() async throws {
            let server = HTTPServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.onRequest { _, response in
                let other = HTTPServer(port: 0, mode: .single)
                other.onRequest { _, response in response.end() }
                do throws(ServerError) {
                    try other.start()
                    response.end("started")
                } catch {
                    response.end("\(error.code == .alreadyStarted)")
                }
            }
            try await withServer(server, listens: false) { client in
                let answer = try await client.get("/")
                #expect(answer.body == "true")
            }
        }

        @Test @MainActor func responsesKnowTheirState() async throws {
            let server = HTTPServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            var states: [[Bool]] = []
            server.onRequest { _, response in
                @MainActor func note() { states.append([response.isBegun, response.hasEnded]) }
                note()
                let isSent: Bool = response.write("a")
                note()
                response.end(isSent ? "b" : "c")
                note()
            }
            try await withServer(server, listens: false) { client in
                let answer = try await client.get("/")
                #expect(answer.body == "ab")
            }
            #expect(states == [[false, false], [true, false], [true, true]])
        }
    }
}
