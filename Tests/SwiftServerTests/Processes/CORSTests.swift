import SwiftServer
import SwiftServerTesting
import Testing

extension ProcessTests {
    /// Requests, preflight requests and handshakes of other origins.
    @Suite struct CORSTests {
        private struct Failure: Error {}

        private static let shop = "https://shop.example"
        private static let ask: (name: String, value: String) = ("Access-Control-Request-Method", "PUT")

        private static func origin(_ origin: String) -> (name: String, value: String) { ("Origin", origin) }

        private static func makeServer(_ cors: CORS) -> WebSocketServer {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.use(cors)
            server.get("/a") { _, response in
                response.header("Vary", "Accept")
                response.end("a")
            }
            server.get("/assigned") { _, response in
                response.headers["Vary"] = "Accept"
                response.headers["vary"] = "accept, Cookie,, ORIGIN"
                response.end("a")
            }
            server.get("/any") { _, response in
                response.headers["Vary"] = "*"
                response.end("a")
            }
            server.get("/removed") { _, response in
                response.headers["Vary"] = nil
                #expect(response.headers.set("Vary", "a\r\nb") == .invalid)
                response.end("a")
            }
            server.get("/fails") { (_, _) throws in throw Failure() }
            server.onMessage { server, frame in server.push(frame, to: frame.fd) }
            return server
        }

        @Test func allowedOriginsGetTheFields() async throws {
            let cors = CORS(
                .list([CORSTests.shop]), allowsCredentials: true, exposedHeaders: ["X-Total", "ETag"])
            try await withServer(CORSTests.makeServer(cors), listens: false) { client in
                for (method, path, status) in [
                    ("GET", "/a", 200), ("POST", "/a", 405), ("GET", "/none", 404), ("GET", "/fails", 500),
                ] {
                    let response = try await client.request(method, path, fields: [CORSTests.origin(CORSTests.shop)])
                    #expect(response.status == status)
                    #expect(response.all("access-control-allow-origin") == [CORSTests.shop], "\(path)")
                    #expect(response.all("access-control-allow-credentials") == ["true"], "\(path)")
                    #expect(response.all("access-control-expose-headers") == ["X-Total, ETag"], "\(path)")
                    #expect(
                        response.all("vary") == (path == "/a" && status == 200 ? ["Origin", "Accept"] : ["Origin"]))
                }
                for fields in [
                    [], [CORSTests.origin("https://evil.example")], [CORSTests.origin("https://shop.example.evil")],
                    [CORSTests.origin(CORSTests.shop), CORSTests.origin("https://evil.example")],
                ] {
                    let response = try await client.get("/a", fields: fields)
                    #expect(response.status == 200 && response.body == "a")
                    #expect(response.all("vary") == ["Origin", "Accept"], "caches need it of every response")
                    #expect(!response.fields.contains { $0.name.lowercased().hasPrefix("access-control") })
                }
            }
        }

        /// What a response depends on does not end when a handler adds something.
        @Test func varyOfTheHandlerIsMerged() async throws {
            try await withServer(CORSTests.makeServer(CORS(.list([CORSTests.shop]))), listens: false) { client in
                let assigned = try await client.get("/assigned")
                #expect(assigned.all("vary") == ["Origin, Accept, Cookie"])
                let any = try await client.get("/any")
                #expect(any.all("vary") == ["*"])
                let removed = try await client.get("/removed")
                #expect(removed.all("vary").isEmpty)
            }
        }

        @Test func preflightRequestsAreAnswered() async throws {
            let cors = CORS(
                .list([CORSTests.shop]), methods: [.get, .put], headers: ["X-A", "X-B"], exposedHeaders: ["X-Total"],
                maxAge: .seconds(3600))
            try await withServer(CORSTests.makeServer(cors), listens: false) { client in
                for path in ["/a", "/none"] {
                    let response = try await client.request(
                        "OPTIONS", path, fields: [CORSTests.origin(CORSTests.shop), CORSTests.ask])
                    #expect(response.status == 204 && response.bytes.isEmpty)
                    #expect(response["access-control-allow-origin"] == CORSTests.shop)
                    #expect(response["access-control-allow-methods"] == "GET, PUT")
                    #expect(response["access-control-allow-headers"] == "X-A, X-B")
                    #expect(response["access-control-max-age"] == "3600")
                    #expect(response["access-control-allow-credentials"] == nil)
                    #expect(response["access-control-expose-headers"] == nil && response["allow"] == nil)
                    #expect(response.all("vary") == ["Origin"])
                }
                let refused = try await client.request(
                    "OPTIONS", "/a", fields: [CORSTests.origin("https://evil.example"), CORSTests.ask])
                #expect(refused.status == 403 && refused["access-control-allow-origin"] == nil)
                #expect(refused.all("vary") == ["Origin"])
                // OPTIONS of another kind is not asked by a browser for permission.
                let plain = try await client.request("OPTIONS", "/a", fields: [CORSTests.origin(CORSTests.shop)])
                #expect(plain.status == 204 && plain["allow"] == "GET, HEAD, OPTIONS")
                #expect(plain["access-control-allow-methods"] == nil)
            }
        }

        @Test func allOriginsMayBeAllowed() async throws {
            try await withServer(CORSTests.makeServer(CORS(maxAge: nil)), listens: false) { client in
                let response = try await client.get("/a", fields: [CORSTests.origin("null")])
                #expect(response["access-control-allow-origin"] == "*" && response.all("vary") == ["Accept"])
                let preflight = try await client.request(
                    "OPTIONS", "/a",
                    fields: [
                        CORSTests.origin("http://a"), CORSTests.ask, ("Access-Control-Request-Headers", "x-a,x-b"),
                    ])
                #expect(
                    preflight["access-control-allow-headers"] == "x-a,x-b" && preflight["access-control-max-age"] == nil
                )
                #expect(preflight["access-control-allow-methods"] == "GET, HEAD, POST, PUT, PATCH, DELETE")
                #expect(preflight.all("vary") == ["Access-Control-Request-Headers"])
                #expect(try await client.webSocket(fields: [CORSTests.origin("https://evil.example")]).ask("a") == "a")
            }
        }

        @Test func aFunctionMayDecide() async throws {
            let cors = CORS(.matching { $0.hasSuffix(".shop.example") })
            try await withServer(CORSTests.makeServer(cors), listens: false) { client in
                let good = try await client.get("/a", fields: [CORSTests.origin("https://x.shop.example")])
                #expect(good["access-control-allow-origin"] == "https://x.shop.example")
                let bad = try await client.get("/a", fields: [CORSTests.origin("https://shop.example")])
                #expect(bad["access-control-allow-origin"] == nil)
            }
        }

        @Test func otherSitesOpenNoWebSockets() async throws {
            let server = CORSTests.makeServer(CORS(.list([CORSTests.shop])))
            server.handle("/echo") { _, ws in
                try await ws.upgrade()
                for try await frame in ws.frames { try await ws.push(frame.text) }
            }
            try await withServer(server, listens: false) { client in
                for path in ["/", "/echo"] {
                    for fields in [[], [CORSTests.origin(CORSTests.shop)], [CORSTests.origin("http://localhost")]] {
                        #expect(try await client.webSocket(path, fields: fields).ask("hello") == "hello")
                    }
                    for origin in ["https://evil.example", "https://localhost", "null"] {
                        await #expect(throws: TestFailure.self) {
                            _ = try await client.webSocket(path, fields: [CORSTests.origin(origin)])
                        }
                    }
                }
                let refused = try await client.request(
                    "GET", "/echo",
                    fields: [
                        ("Upgrade", "websocket"), ("Connection", "Upgrade"), ("Sec-WebSocket-Version", "13"),
                        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="), CORSTests.origin("https://evil.example"),
                    ])
                #expect(refused.status == 403 && refused.body == "the origin is not allowed\n")
            }
        }

        @Test func settingsAreChecked() {
            for (cors, message) in [
                (CORS(.any, allowsCredentials: true), "allowsCredentials needs origins that are named"),
                (CORS(.list(["https://shop.example/"])), "origins must be like"),
                (CORS(.list(["shop.example"])), "origins must be like"),
                (CORS(.list(["https://Shop.example"])), "origins must be like"),
                (CORS(.list(["*"])), "origins must be like"),
                (CORS(headers: ["a b"]), "methods and headers must be names"),
                (CORS(.list([CORSTests.shop]), allowsCredentials: true, headers: ["*"]), "must be names, got \"*\""),
                (CORS(maxAge: .seconds(-1)), "maxAge must be 0 s or more"),
            ] {
                let server = CORSTests.makeServer(cors)
                let error = #expect(throws: ServerError.self) { try server.start() }
                #expect(error?.code == .invalidRoute && error?.message.contains(message) == true, "\(message)")
            }
        }
    }
}
