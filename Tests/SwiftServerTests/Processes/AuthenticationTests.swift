import SwiftServerTesting
import Testing

@testable import SwiftServer

extension ProcessTests {
    @Suite struct AuthenticationTests {
        private struct User: Sendable { let name: String }
        private struct Unreachable: Error {}

        private static func basic(_ text: String) -> [(name: String, value: String)] {
            [("Authorization", text)]
        }

        @Test func basicAuthentication() async throws {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            let answer: @MainActor (Request, Response) -> Void = { request, response in
                response.end(request[User.self]?.name ?? request[BasicCredentials.self]?.name ?? "nobody")
            }
            let checked = BasicAuthentication(realm: "a \"b\"\\ü") { credentials -> User? in
                if credentials.name == "broken" { throw Unreachable() }
                await Task.yield()
                return credentials.hasPassword("pä:ss") ? User(name: credentials.name) : nil
            }
            server.group("/checked", use: [checked]) { $0.get("/", answer) }
            server.group("/listed", use: [BasicAuthentication(realm: "x", passwords: ["ada": "secret", "": ""])]) {
                $0.get("/", answer)
                $0.get("/missing") { request, response in response.end(try request.value(User.self).name) }
            }
            server.get("/open", answer)
            try await withServer(server) { client in
                func status(_ path: String, _ fields: [(name: String, value: String)] = []) async throws -> Int {
                    try await client.get(path, fields: fields).status
                }
                let refused = try await client.get("/checked")
                #expect(refused.status == 401)
                #expect(refused["www-authenticate"] == "Basic realm=\"a \\\"b\\\"\\\\?\", charset=\"UTF-8\"")
                // "ada:pä:ss"
                let accepted = try await client.get(
                    "/checked", fields: AuthenticationTests.basic("bAsIc  YWRhOnDDpDpzcw=="))
                #expect(accepted.status == 200 && accepted.body == "ada")
                // A wrong password, no padding, no colon, a control character, malformed UTF-8, other schemes.
                for credentials in [
                    "Basic YWRhOnBhc3M=", "Basic YWRhOnDDpDpzcw", "Basic YWRh", "Basic YTphCg==", "Basic Ojr/", "Basic",
                    "Basic ", "Bearer YWRhOnDDpDpzcw==", "YWRhOnDDpDpzcw==", "Basic YWRhOnDDpDpzcw== x",
                ] {
                    #expect(
                        try await status("/checked", AuthenticationTests.basic(credentials)) == 401, "\(credentials)")
                }
                let twice = AuthenticationTests.basic("Basic YWRhOnDDpDpzcw==")
                #expect(try await status("/checked", twice + twice) == 401)
                #expect(try await status("/checked", AuthenticationTests.basic("Basic YnJva2VuOng=")) == 500)

                #expect(try await status("/listed", AuthenticationTests.basic("Basic YWRhOnNlY3JldA==")) == 200)
                #expect(try await client.get("/listed", fields: AuthenticationTests.basic("Basic Og==")).body == "")
                for wrong in ["YWRhOg==", "ZXZlOnNlY3JldA==", "ZXZlOg==", "QWRhOnNlY3JldA==", "YWRhOnNlY3JldDE="] {
                    #expect(try await status("/listed", AuthenticationTests.basic("Basic \(wrong)")) == 401, "\(wrong)")
                }
                #expect(try await status("/listed/missing", AuthenticationTests.basic("Basic YWRhOnNlY3JldA==")) == 500)
                #expect(try await client.get("/open", fields: twice).body == "nobody")
                #expect(!client.log.lines.contains { $0.message.contains("secret") || $0.message.contains("pä") })
                #expect(client.log.errors.contains { $0.contains("no middleware has stored a User") })
            }
        }

        @Test func bearerAuthentication() async throws {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.use(
                BearerAuthentication(realm: "api") { token -> User? in
                    await Task.yield()
                    if token == "weak" { throw InsufficientScope("admin") }
                    if token == "broken" { throw Unreachable() }
                    return token == "good" ? User(name: "ada") : nil
                })
            server.get("/") { request, response in response.end(try request.value(User.self).name) }
            server.get("/scope") { request, response in throw InsufficientScope("write") }
            server.handle("/ws") { request, ws in
                let user = try request.value(User.self)
                try await ws.upgrade()
                try await ws.push("hello \(user.name)")
                for try await _ in ws.frames {}
            }
            try await withServer(server) { client in
                func get(_ credentials: String, _ path: String = "/") async throws -> TestResponse {
                    try await client.get(path, fields: [("Authorization", credentials)])
                }
                let missing = try await client.get("/")
                #expect(missing.status == 401 && missing["www-authenticate"] == "Bearer realm=\"api\"")
                #expect(try await get("Basic YTpi")["www-authenticate"] == "Bearer realm=\"api\"")
                let good = try await get("Bearer good")
                #expect(good.status == 200 && good.body == "ada")
                for malformed in ["Bearer", "Bearer a b", "Bearer a=b", "Bearer ===", "Bearer é"] {
                    let refused = try await get(malformed)
                    #expect(refused.status == 400, "\(malformed)")
                    #expect(refused["www-authenticate"]?.contains("error=\"invalid_request\"") == true)
                }
                let twice = [("Authorization", "Bearer good"), ("authorization", "Bearer good")]
                #expect(try await client.get("/", fields: twice.map { (name: $0.0, value: $0.1) }).status == 400)
                let wrong = try await get("Bearer wrong")
                #expect(wrong.status == 401)
                #expect(
                    wrong["www-authenticate"]
                        == "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"the token is not valid\""
                )
                for (credentials, path, scope) in [("Bearer weak", "/", "admin"), ("Bearer good", "/scope", "write")] {
                    let refused = try await get(credentials, path)
                    #expect(refused.status == 403)
                    #expect(refused["www-authenticate"]?.hasSuffix(", scope=\"\(scope)\"") == true)
                    #expect(refused["www-authenticate"]?.contains("error=\"insufficient_scope\"") == true)
                }
                #expect(try await get("Bearer broken").status == 500)
                // Handshakes.
                #expect(try await client.get("/ws").status == 401)
                await #expect(throws: TestFailure.self) { _ = try await client.webSocket("/ws") }
                let socket = try await client.webSocket("/ws", fields: [("Authorization", "Bearer good")])
                #expect(try await socket.receiveText() == "hello ada")
            }
        }

        #if TLS
        @Test func tokens() async throws {
            let server = HTTPServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            let verifier = JWTVerifier(keys: try JWTKey.set(Tokens.keySet))
            server.group("/jwt", use: [BearerAuthentication(realm: "api", tokens: verifier)]) { group in
                group.get("/") { request, response in response.end(try request.value(JWT.self).subject ?? "") }
                group.get("/write") { request, response in
                    guard try request.value(JWT.self).scopes.contains("write") else { throw InsufficientScope("write") }
                    response.end("written")
                }
            }
            let users = BearerAuthentication(realm: "api", tokens: verifier) { jwt -> User? in
                jwt.subject.map { User(name: "user \($0)") }
            }
            server.group("/user", use: [users]) {
                $0.get("/") { request, response in response.end(try request.value(User.self).name) }
            }
            try await withServer(server) { client in
                func get(_ token: String, _ path: String) async throws -> TestResponse {
                    try await client.get(path, fields: [("Authorization", "Bearer \(token)")])
                }
                #expect(try await get(Tokens.rich, "/jwt").body == "ada")
                #expect(try await get(Tokens.richES256, "/jwt").body == "ada")
                #expect(try await get(Tokens.rich, "/jwt/write").body == "written")
                #expect(try await get(Tokens.richES256, "/jwt/write").status == 403)
                #expect(try await get(Tokens.richES256, "/user").body == "user ada")
                let expired = try await get(Tokens.withoutAud, "/jwt")
                #expect(expired.status == 401)
                #expect(
                    expired["www-authenticate"]
                        == "Bearer realm=\"api\", error=\"invalid_token\", error_description=\"the token has expired\"")
                #expect(try await get(Tokens.none, "/jwt").status == 401)
                #expect(try await get("a.b.c", "/jwt").status == 401)
            }
        }
        #endif

        @Test func credentialsHideThePassword() throws {
            let credentials = try #require(BasicCredentials("YWRhOnNlY3JldA=="))
            var dumped = ""
            dump(credentials, to: &dumped)
            for text in [dumped, "\(credentials)", String(reflecting: credentials), "\([credentials])"] {
                #expect(text.contains("ada") && !text.contains("secret"))
            }
        }

        @Test func valuesBelongToACopy() throws {
            let request = try RequestTests.request("GET / HTTP/1.1\r\nHost: a\r\n\r\n")
            var copy = request
            copy[User.self] = User(name: "ada")
            copy[Int.self] = 7
            #expect(request[User.self] == nil && copy[User.self]?.name == "ada" && copy[Int.self] == 7)
            var other = copy
            other[User.self] = nil
            #expect(other[User.self] == nil && other[Int.self] == 7 && copy[User.self]?.name == "ada")
            #expect(throws: MissingValueError.self) { _ = try other.value(User.self) }
            #expect(try copy.value(Int.self) == 7)
        }
    }
}
