import SwiftServer
import SwiftServerTesting
import Testing

extension ProcessTests {
    /// Synchronous middleware, and the one that sets fields and limits requests.
    @Suite struct MiddlewareTests {
        private static func makeServer() -> HTTPServer {
            let server = HTTPServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            return server
        }

        // MARK: Synchronous middleware

        /// Adds its name to the response, and ends the chain for a path.
        private struct Step: SynchronousMiddleware {
            struct Refusal: RequestError {
                let status = 418
                let message = "refused"
            }
            let name: String

            func prepare(_ request: inout Request, _ response: Response) throws {
                response.header("X-Steps", name)
                if request.path == "/throws/\(name)" { throw Refusal() }
                if request.path == "/answers/\(name)" { response.end("answered by \(name)") }
            }
        }

        /// Two pieces of synchronous middleware around a handler; with `isAsync` all of it runs in a task.
        private static func steps(isAsync: Bool) -> HTTPServer {
            let server = makeServer()
            server.use(Step(name: "a"))
            if isAsync { server.use { request, response, next in try await next(request, response) } }
            server.use(Step(name: "b"))
            server.use { request, response in response.header("X-Steps", "c") }
            server.get("/handler") { _, response in response.end("handler") }
            server.get("/later") { (_, response) async in
                await Task.yield()
                response.end("later")
            }
            return server
        }

        @Test(arguments: [false, true]) func synchronousMiddlewareRunsInOrder(_ isAsync: Bool) async throws {
            try await withServer(MiddlewareTests.steps(isAsync: isAsync), listens: false) { client in
                for (path, status, body, steps) in [
                    ("/handler", 200, "handler", ["a", "b", "c"]), ("/later", 200, "later", ["a", "b", "c"]),
                    ("/none", 404, "Not Found\n", ["a", "b", "c"]), ("/throws/a", 418, "refused", ["a"]),
                    ("/throws/b", 418, "refused", ["a", "b"]), ("/answers/a", 200, "answered by a", ["a"]),
                    ("/answers/b", 200, "answered by b", ["a", "b"]),
                ] {
                    let response = try await client.get(path)
                    #expect(response.status == status && response.body == body, "\(path)")
                    #expect(response.all("x-steps") == steps, "\(path)")
                }
                #expect(try await client.post("/handler", "").all("x-steps") == ["a", "b", "c"])
            }
        }

        @Test(arguments: [false, true]) func onRequestHasMiddleware(_ isAsync: Bool) async throws {
            let server = MiddlewareTests.steps(isAsync: isAsync)
            server.onRequest { request, response in response.end("callback \(request.path)") }
            try await withServer(server, listens: false) { client in
                let response = try await client.get("/x")
                #expect(response.body == "callback /x" && response.all("x-steps") == ["a", "b", "c"])
                #expect(try await client.post("/handler", "").status == 405)
            }
        }

        // MARK: Security headers

        @Test func securityHeadersAreSet() async throws {
            let server = MiddlewareTests.makeServer()
            server.settings.trustedProxies = ["127.0.0.1"]
            var headers = SecurityHeaders()
            headers.permissionsPolicy = nil
            headers["x-frame-options"] = "DENY"
            headers["X-Site"] = "shop"
            headers["X-Bad"] = "a\r\nb"
            server.use(headers)
            server.get("/") { _, response in
                response.headers["Referrer-Policy"] = nil
                response.headers["Content-Security-Policy"] = "default-src 'self'"
                response.end()
            }
            var inner = SecurityHeaders()
            inner.frameOptions = "SAMEORIGIN"
            server.group("/inner", use: [inner]) { $0.get("/") { _, response in response.end() } }
            try await withServer(server) { client in
                let response = try await client.get("/none")
                #expect(response.status == 404)
                for (name, value) in [
                    ("X-Content-Type-Options", "nosniff"), ("X-Frame-Options", "DENY"), ("X-Site", "shop"),
                    ("Content-Security-Policy", "base-uri 'self'; frame-ancestors 'self'; object-src 'none'"),
                    ("Referrer-Policy", "strict-origin-when-cross-origin"),
                    ("Cross-Origin-Opener-Policy", "same-origin-allow-popups"),
                ] { #expect(response.all(name) == [value]) }
                for name in [
                    "Strict-Transport-Security", "Permissions-Policy", "Cross-Origin-Resource-Policy", "X-Bad",
                ] {
                    #expect(response[name] == nil, "\(name)")
                }
                let other = try await client.get("/", fields: [("X-Forwarded-Proto", "https")])
                #expect(other.all("Content-Security-Policy") == ["default-src 'self'"])
                #expect(other["Referrer-Policy"] == nil)
                #expect(other.all("Strict-Transport-Security") == ["max-age=31536000"])
                let grouped = try await client.get("/inner")
                #expect(grouped.all("X-Frame-Options") == ["SAMEORIGIN"] && grouped.all("X-Site") == ["shop"])
                #expect(grouped.all("Permissions-Policy").count == 1)
            }
        }

        @Test func securityHeadersCanBeRead() {
            var headers = SecurityHeaders()
            #expect(headers["strict-transport-security"] == "max-age=31536000")
            headers.strictTransportSecurity = nil
            #expect(headers.strictTransportSecurity == nil && headers.crossOriginResourcePolicy == nil)
            headers.contentTypeOptions = "a\nb"
            #expect(headers.contentTypeOptions == "nosniff")
        }

        // MARK: Sizes

        @Test(arguments: [false, true]) func largeBodiesAreRefused(_ streams: Bool) async throws {
            let server = MiddlewareTests.makeServer()
            server.settings.streamRequestBodies = streams
            server.group("/small", use: [RequestSizeLimit(10)]) { small in
                small.post("/") { request, response in response.end(try await request.bodyPieces.collect()) }
            }
            server.post("/large") { request, response in response.end(try await request.bodyPieces.collect()) }
            try await withServer(server, listens: false) { client in
                #expect(try await client.post("/small", "0123456789").body == "0123456789")
                #expect(try await client.post("/small", "").status == 200)
                let refused = try await client.post("/small", "0123456789a")
                #expect(refused.status == 413 && refused.body == "the body must have at most 10 bytes")
                #expect(try await client.post("/large", "0123456789a").status == 200)
                for (chunks, status) in [("5\r\n01234\r\n5\r\n56789\r\n", 200), ("5\r\n01234\r\n6\r\n56789a\r\n", 413)]
                {
                    let response = try await client.request(
                        "POST", "/small", fields: [("Transfer-Encoding", "chunked")],
                        body: [UInt8]("\(chunks)0\r\n\r\n".utf8))
                    #expect(response.status == status)
                }
            }
        }

        @Test func aLargeBodyIsRefusedBeforeItIsSent() async throws {
            let server = MiddlewareTests.makeServer()
            server.settings.streamRequestBodies = true
            server.use(RequestSizeLimit(1000))
            server.post("/") { request, response in response.end(try await request.bodyPieces.collect()) }
            try await withServer(server, listens: false) { client in
                let connection = try await client.connect()
                try await connection.send(
                    "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1000000\r\nExpect: 100-continue\r\n\r\n")
                #expect(try await connection.receive(through: "\r\n") == "HTTP/1.1 413 Content Too Large\r\n")
            }
        }

        // MARK: Times

        @Test(arguments: [TimeLimit.Status.serviceUnavailable, .gatewayTimeout])
        func lateHandlersAreCancelled(_ status: TimeLimit.Status) async throws {
            let server = MiddlewareTests.makeServer()
            server.settings.requestTimeout = .seconds(60)
            server.use { request, response, next in
                try await next(request, response)
                cancelled.append("returned to middleware")
            }
            server.group(use: [TimeLimit(.seconds(5), status: status)]) { group in
                group.get("/late") { _, response in
                    do { try await Task.sleep(for: .seconds(3600)) } catch {
                        cancelled.append("\(type(of: error))")
                        throw error
                    }
                    response.end("late")
                }
                group.get("/fast") { _, response in response.end("fast") }
                group.get("/fails") { (_, _) throws in throw Step.Refusal() }
            }
            await MainActor.run { cancelled = [] }
            try await withServer(server, listens: false, controlsTime: true) { client in
                #expect(try await client.get("/fast").body == "fast")
                #expect(try await client.get("/fails").status == 418)
                async let response = client.get("/late")
                for _ in 0..<10_000 where await server.nextTimer == nil { try await Task.sleep(for: .milliseconds(1)) }
                try await client.advance(by: .seconds(5))
                #expect(try await response.status == status.rawValue)
                for _ in 0..<10_000 where await cancelled.count < 3 { try await Task.sleep(for: .milliseconds(1)) }
                // "/fails" has thrown its error past the middleware.
                #expect(
                    await cancelled == ["returned to middleware", "CancellationError", "returned to middleware"])
                #expect(client.log.lines.contains { $0.message.contains("was not answered in time") })
                #expect(client.log.errors.isEmpty, "the cancellation is no failure")
                #expect(try await client.get("/fast").body == "fast")
            }
        }

        @Test func limitsAreChecked() {
            for (middleware, message) in [
                (TimeLimit(.zero) as any Middleware, "limit must be 1 ms to 1 day"),
                (RequestSizeLimit(-1), "limit must be 0 bytes or more, got -1"),
                (AccessLog(file: ""), "file must be the path of a file"),
            ] {
                let server = MiddlewareTests.makeServer()
                server.group("/group", use: [middleware]) { $0.get("/") { _, response in response.end() } }
                let error = #expect(throws: ServerError.self) { try server.start() }
                #expect(error?.message.contains(message) == true, "\(message)")
            }
        }
    }
}

/// What handlers of a test have noticed.
@MainActor private var cancelled: [String] = []
