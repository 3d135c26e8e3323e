import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Requests and handshakes of servers with routes.
    @Suite struct RoutingTests {
        @Test(arguments: ServerMode.allCases) func requestsGoToTheirRoutes(_ mode: ServerMode) async throws {
            try await ClientRun.run(.routing, mode) { port in
                let (client, url) = (HTTPClient(), "http://127.0.0.1:\(port)")
                for (path, body) in [
                    ("/users/7", "user 7"), ("/users/a%2Fb%20c/?x=1", "user a/b c"), ("/users/me", "me, 0 parameters"),
                    ("/numbers/41", "42"), ("/later/7", "later 7"), ("/files/a/b.txt", "a/b.txt"), ("/files", ""),
                    ("/any", "any GET"), ("/things/", "things of -"), ("/things/7", "thing 7"),
                ] {
                    let response = try await client.get(url + path)
                    let text = try await response.body.text(upTo: 100)
                    #expect(response.status == 200 && text == body, "\(path): \(text)")
                }
                let created = try await client.post(url + "/users", body: .text("Ada"))
                let text = try await created.body.text(upTo: 100)
                #expect(created.status == 201 && text == "created Ada")
                for (method, path, body) in [
                    ("WHATEVER", "/any", "any WHATEVER"), ("PROPFIND", "/any/dav", "found"),
                ] {
                    let request = HTTPClientRequest(url + path, method: method)
                    let text = try await client.execute(request).body.text(upTo: 100)
                    #expect(text == body)
                }
                // Pipelined, the responses come in order.
                let connection = try Connection(port: port)
                try connection.sendRequest("/later/1")
                try connection.sendRequest("/users/2")
                let bodies = [try connection.takeResponse().body, try connection.takeResponse().body]
                #expect(bodies == ["later 1", "user 2"])
            }
        }

        @Test(arguments: ServerMode.allCases) func requestsWithoutARoute(_ mode: ServerMode) throws {
            try ServerProcess.run(.routing, mode) { server in
                let client = try Connection(port: server.port)
                for (method, path, status, allow) in [
                    ("GET", "/", 404, nil), ("GET", "/users/7/x", 404, nil), ("GET", "/numbers/../1", 404, nil),
                    ("GET", "/users/%zz", 400, nil), ("POST", "/users/7", 405, "GET, HEAD, OPTIONS"),
                    ("GET", "/users", 405, "POST, OPTIONS"), ("OPTIONS", "/users", 204, "POST, OPTIONS"),
                    ("MKCOL", "/users", 501, nil),
                    ("OPTIONS", "*", 204, "GET, HEAD, POST, PUT, OPTIONS, PROPFIND"),
                ] {
                    let response = try client.get(path, method: method)
                    #expect(response.status == status && response["allow"] == allow, "\(method) \(path): \(response)")
                    #expect(status == 204 || response["content-type"] == "text/plain; charset=utf-8")
                }
                let head = try client.get("/users/me", method: "HEAD")
                #expect(head.status == 200 && head["content-length"] == "16" && head.bytes.isEmpty)
                #expect(try client.get("/users/me").body == "me, 0 parameters", "the connection is in step")
            }
        }

        @Test(arguments: ServerMode.allCases) func callbacksServePathsWithoutARoute(_ mode: ServerMode) throws {
            try ServerProcess.run(.routing, mode, { $0.hasCallbacks = true }) { server in
                let client = try Connection(port: server.port)
                #expect(try client.get("/other").body == "callback /other")
                #expect(try client.get("/users/7").body == "user 7")
                #expect(try client.get("/users/7", method: "DELETE").status == 405)
                let other = try connect(server.port, "/users/7")
                #expect(try other.receiveText() == "callback /users/7")
                #expect(try other.ask("hello") == "callback hello")
                #expect(try connect(server.port, "/rooms/7").receiveText().hasPrefix("in 7 "))
                // Another port without routes has those of the server, except straight-line handlers.
                let inheriting = try Connection(port: server.ports[3])
                #expect(try inheriting.get("/users/7").body == "user 7")
                #expect(try inheriting.get("/rooms/7").body == "callback /rooms/7")
            }
        }

        @Test(arguments: ServerMode.allCases) func errorsOfHandlers(_ mode: ServerMode) throws {
            try ServerProcess.run(.routing, mode) { server in
                let client = try Connection(port: server.port)
                for path in ["/fails/7", "/fails-later", "/misnamed/7"] {
                    #expect(try client.get(path).status == 500)
                }
                let refused = try client.get("/refuses")
                #expect(refused.status == 418 && refused.body == "no coffee")
                let invalid = try client.get("/numbers/seven")
                #expect(invalid.status == 400 && invalid.body == "the path parameter number must be a valid Int")
                for line in [
                    "worker 0: the handler of GET /fails/:id on connection ",
                    "worker 0: the handler of GET /fails-later on connection ",
                    "has failed: the route /misnamed/:id has no parameter name",
                ] {
                    try waitForLog(server, line)
                }
                #expect(!server.log.contains("no coffee") && !server.log.contains("must be a valid Int"))
            }
        }

        @Test(arguments: ServerMode.allCases) func middlewareOfGroups(_ mode: ServerMode) throws {
            try ServerProcess.run(.routing, mode) { server in
                let client = try Connection(port: server.port)
                let plain = try client.get("/api/plain")
                #expect(plain.body == "plain" && plain.all("x-trace") == ["outer /api/plain -"])
                #expect(try client.get("/api/ada/things").body == "things of ada")
                for wait in ["", "&wait"] {
                    let inner = try client.get("/api/inner/7?key=secret\(wait)")
                    #expect(inner.body == "inner 7")
                    #expect(inner.all("x-trace") == ["outer /api/inner/:id 7", "inner /api/inner/:id 7"])
                    // The handler is not called after an answer, even by middleware that goes on.
                    for path in ["/api/inner/7?\(wait)", "/api/inner/7?on\(wait)"] {
                        let refused = try client.get(path)
                        #expect(refused.status == 401 && refused.body == "no key", "\(path)")
                    }
                }
                // Wrong methods, and OPTIONS, within the middleware of the path's routes.
                let wrong = try client.get("/api/inner/7?key=secret", method: "DELETE")
                #expect(wrong.status == 405 && wrong["allow"] == "GET, HEAD, PUT, OPTIONS")
                #expect(wrong.all("x-trace") == ["outer - -", "inner - -"])
                #expect(try client.get("/api/inner/7", method: "OPTIONS").status == 401)
                #expect(try client.get("/api/other").all("x-trace").isEmpty)
                #expect(try client.get("/api/rescued").body == "rescued")
                #expect(try client.get("/api/refused").status == 418)
                #expect(try client.get("/api/fails").status == 500)
                try server.wait(for: .outcome("inner after"))
                try waitForLog(server, "the handler of GET /api/fails on connection")
                #expect(!server.log.contains("/api/rescued"))
            }
        }

        @Test(arguments: ServerMode.allCases) func middlewareOfAPort(_ mode: ServerMode) throws {
            try ServerProcess.run(.routing, mode) { server in
                let port = server.ports[1]
                let client = try Connection(port: port)
                for (path, status, body, trace) in [
                    ("/routed/7", 200, "routed 7", "port /routed/:id 7"),
                    ("/other", 200, "unrouted /other", "port - -"),
                    ("/forbidden", 403, "forbidden", "port - -"),
                    ("/fails", 500, "Internal Server Error\n", "port - -"),
                ] {
                    let response = try client.get(path)
                    #expect(response.status == status && response.body == body, "\(path): \(response)")
                    #expect(response.all("x-trace") == [trace])
                }
                #expect(try client.get("/routed/7", method: "POST").all("x-trace") == ["port - -"])
                try waitForLog(server, "onRequest of connection")
                let (response, accepted) = try upgrade(port, "/accepted")
                #expect(response.status == 101 && response.all("x-trace") == ["port - -"])
                #expect(try accepted.ask("hello") == "port hello")
                #expect(try upgrade(port, "/refused").0.body == "not you")
                #expect(try upgrade(port, "/forbidden").0.status == 403)
                // Without onHandshake.
                let open = server.ports[2]
                let (answer, socket) = try upgrade(open, "/?key=secret&wait")
                #expect(answer.status == 101 && answer.all("x-trace") == ["open - -"])
                #expect(try socket.ask("hello") == "open hello")
                #expect(try upgrade(open, "/").0.status == 401)
                #expect(try Connection(port: open).get("/?key=secret").status == 404)
            }
        }

        @Test(arguments: ServerMode.allCases) func straightLineHandlers(_ mode: ServerMode) throws {
            try ServerProcess.run(.routing, mode) { server in
                let client = try connect(server.port, "/ROOMS/a%20b/more")
                #expect(try client.receiveText().hasPrefix("in a b "))
                #expect(try client.ask("hello") == "a b hello")
                let http = try Connection(port: server.port)
                #expect(try http.get("/rooms/7", method: "POST").body == "POST 7")
                #expect(try http.get("/rooms").status == 404)
                // A handshake that no handler takes is served like any other request.
                #expect(try upgrade(server.port, "/nowhere").0.status == 404)
                #expect(try upgrade(server.port, "/users/7").0.body == "user 7")
            }
        }

        @Test(arguments: ServerMode.allCases) func middlewareAroundStraightLineHandlers(_ mode: ServerMode) throws {
            try ServerProcess.run(.routing, mode) { server in
                for wait in ["", "&wait"] {
                    let (response, client) = try upgrade(server.port, "/guarded/rooms/7?key=secret\(wait)")
                    #expect(response.status == 101 && response.all("x-trace") == ["guard /guarded/rooms/:room -"])
                    #expect(try client.receiveText().hasPrefix("in 7 "))
                    #expect(try client.ask("hello") == "7 hello")
                }
                // The middleware has returned while the WebSockets are open.
                try server.wait(for: .outcome("guard after"), 2)
                let (slow, client) = try upgrade(server.port, "/guarded/slow?key=secret")
                #expect(slow.status == 101)
                #expect(try client.receiveText().hasPrefix("in - "))
                #expect(try upgrade(server.port, "/guarded/rooms/7").0.status == 401)
                for path in ["/guarded/fails?key=secret", "/guarded/fails?key=secret&wait"] {
                    let rescued = try upgrade(server.port, path).0
                    #expect(rescued.status == 503 && rescued.body == "rescued")
                    #expect(try Connection(port: server.port).get(path).body == "rescued")
                }
                let http = try Connection(port: server.port)
                #expect(try http.get("/guarded/rooms/7?key=secret", method: "POST").body == "POST 7")
                // A client that leaves while its handshake is decided.
                let late = try Connection(port: server.port)
                try late.send(StraightLineTests.handshake("/guarded/slow?key=secret"))
                late.reset()
                #expect(try http.get("/users/7").body == "user 7")
                #expect(!server.log.contains("rescued"))
            }
        }

        /// The middleware of a WebSocket is not called again when another worker continues it.
        @Test func aReloadContinuesWebSocketsBehindMiddleware() throws {
            try ServerProcess.run(.routing) { server in
                let (_, client) = try upgrade(server.port, "/guarded/rooms/7?key=secret")
                let first = try client.receiveText()
                try server.wait(for: .outcome("guard after"))
                server.signal(SIGUSR1)
                let second = try client.receiveText()
                #expect(first.hasPrefix("in 7 ") && second.hasPrefix("again in 7 "))
                #expect(first.split(separator: " ").last != second.split(separator: " ").last)
                #expect(try client.ask("hello") == "7 hello")
                #expect(server.events(.outcome).count == 1)
            }
        }

        @Test(arguments: ServerMode.supervised) func routesThatCannotBeServed(_ mode: ServerMode) throws {
            let server = try ServerProcess.runFailing(.badRoute, mode)
            #expect(server.end == .exit(3))
            let error = try server.onlyError()
            #expect(error.code == .invalidRoute)
            #expect(error.message.contains("cannot have a route for GET /users/:id/posts/:id: two of its parameters"))
        }

        private func waitForLog(_ server: ServerProcess, _ line: String) throws {
            try Wait.until("\(line) in the log") { server.log.contains(line) }
        }

        // MARK: Clients

        private func upgrade(_ port: Int, _ path: String) throws -> (HTTPResponse, WebSocketClient) {
            let connection = try Connection(port: port)
            try connection.send(StraightLineTests.handshake(path))
            return (try connection.takeResponse(), WebSocketClient(connection))
        }

        private func connect(_ port: Int, _ path: String) throws -> WebSocketClient {
            let (response, client) = try upgrade(port, path)
            #expect(response.status == 101)
            return client
        }
    }
}
