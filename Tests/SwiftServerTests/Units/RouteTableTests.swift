import Testing

@testable import SwiftServer

/// The compiled routes, without a server.
@Suite struct RouteTableTests {
    /// A table of patterns like "GET /users/:id" and "handle /rooms", and their names in the order of their numbers.
    private struct Table {
        let table: RouteTable
        let names: [String]

        init(_ names: String...) throws { try self.init(names) }

        init(_ names: [String]) throws {
            let router = Router()
            for name in names {
                let words = name.split(separator: " ", maxSplits: 1).map(String.init)
                switch words[0] {
                case "handle": router.handle(words[1]) { _, _ in }
                case "any": router.any(words[1]) { _, _ in }
                default: router.route(HTTPMethod(rawValue: words[0]), words[1]) { _, _ in }
                }
            }
            table = try RouteTable(router)
            self.names = names
        }

        func match(_ line: String, fields: String = "", upgrades: Bool = false) throws -> (RouteTable.Match, Request) {
            let request = try RequestTests.request("\(line) HTTP/1.1\r\nHost: a\r\n\(fields)\r\n")
            return (table.match(request, upgrades: upgrades), request)
        }

        /// The route of a request; "-" for none.
        func route(_ line: String, fields: String = "", upgrades: Bool = false) throws -> String {
            let (match, _) = try match(line, fields: fields, upgrades: upgrades)
            return match.route < 0 ? "-" : names[match.route]
        }

        /// The parameters of a request.
        func parameters(_ line: String) throws -> [String: String] {
            var (match, request) = try match(line)
            try #require(match.route >= 0)
            request.route = table.routes[match.route].reference
            return Dictionary(uniqueKeysWithValues: request.parameters.map { ($0.name, $0.value) })
        }

        func refusal(_ line: String) throws -> RouteTable.Refusal {
            let (match, request) = try match(line)
            #expect(match.route < 0)
            return table.refusal(of: request, match) ?? table.lastRefusal(of: request, match)
        }
    }

    @Test func literalsComeBeforeParametersBeforeWildcards() throws {
        let names = [
            "GET /*", "GET /:any", "GET /users", "GET /users/*rest", "GET /users/:id", "GET /users/me",
            "GET /users/:id/posts", "GET /users/me/posts/:post",
        ]
        let paths = [
            "/": "/*", "/a": "/:any", "/a/b": "/*", "/users": "/users", "/users/me": "/users/me",
            "/users/7": "/users/:id", "/users/me/posts": "/users/:id/posts",
            "/users/me/posts/1": "/users/me/posts/:post",
            "/users/7/posts": "/users/:id/posts", "/users/7/other": "/users/*rest", "/users/me/other": "/users/*rest",
            "/USERS": "/:any", "/usersx": "/:any", "/user": "/:any",
        ]
        for names in [names, names.reversed()] {
            let table = try Table(names)
            for (path, pattern) in paths { #expect(try table.route("GET \(path)") == "GET \(pattern)", "\(path)") }
        }
    }

    @Test func aSlashAtTheEndHasNoMeaning() throws {
        let table = try Table("GET /", "GET /a", "GET /b/", "GET /c/:x", "GET /d/*rest")
        for (path, route) in [
            ("/", "GET /"), ("/a/", "GET /a"), ("/b", "GET /b/"), ("/b/", "GET /b/"), ("/c/1/", "GET /c/:x"),
            ("/c/", "-"), ("/c", "-"), ("/d", "GET /d/*rest"), ("/d/", "GET /d/*rest"), ("/a//", "-"), ("//a", "-"),
            ("//", "-"), ("/c//", "-"),
        ] {
            #expect(try table.route("GET \(path)") == route, "\(path)")
        }
        #expect(try table.parameters("GET /d") == ["rest": ""])
        #expect(try table.parameters("GET /d/") == ["rest": ""])
        #expect(try table.parameters("GET /d/a/b/") == ["rest": "a/b/"])
        #expect(try table.parameters("GET /c/1/") == ["x": "1"])
        // The whole URL in the request line, as proxies send it.
        #expect(try table.route("GET http://a") == "GET /")
        #expect(try table.parameters("GET http://a/c/1") == ["x": "1"])
    }

    @Test func parametersAreDecoded() throws {
        let table = try Table("GET /:a/x/:b", "GET /files/*path")
        #expect(try table.parameters("GET /1/x/2?b=3") == ["a": "1", "b": "2"])
        #expect(try table.parameters("GET /a%2Fb/x/%C3%A9+%25") == ["a": "a/b", "b": "é+%"])
        #expect(try table.parameters("GET /%ff/x/y") == ["a": "\u{FFFD}", "b": "y"])
        #expect(try table.parameters("GET /files/a%20b/c.txt") == ["path": "a b/c.txt"])
        #expect(try table.parameters("GET /files/.hidden/..x/...") == ["path": ".hidden/..x/..."])
        #expect(try table.parameters("GET /.../x/.a") == ["a": "...", "b": ".a"])
    }

    /// What could lead out of a folder, or is not decodable, never becomes a parameter.
    @Test(arguments: [
        "/files/../a", "/files/a/..", "/files/a/.", "/files/./a", "/files/%2e%2E/a", "/files/a%2f..%2fb", "/files/.%2e",
        "/files/a%2F..", "/./x/a", "/../x/a", "/a/x/%2e", "/a/x/%2e.%2fb",
    ])
    func unsafeValues(_ path: String) throws {
        let table = try Table("GET /:a/x/:b", "GET /files/*path")
        #expect(try table.refusal("GET \(path)") == RouteTable.Refusal(status: 404))
    }

    @Test(arguments: ["/files/%00", "/files/a%2", "/files/%zz", "/%/x/a", "/a%00/x/b"])
    func malformedValues(_ path: String) throws {
        let table = try Table("GET /:a/x/:b", "GET /files/*path")
        #expect(try table.refusal("GET \(path)") == RouteTable.Refusal(status: 400))
    }

    @Test func literalsAreComparedDecoded() throws {
        let table = try Table("GET /über/a%20b", "GET /a", "GET /%3Aid")
        for path in ["/%C3%BCber/a%20b", "/%c3%bcber/%61%20b"] {
            #expect(try table.route("GET \(path)") == "GET /über/a%20b")
        }
        #expect(try table.route("GET /%61") == "GET /a")
        #expect(try table.route("GET /:id") == "GET /%3Aid")
        for path in ["/%41", "/%6", "/a%00", "/%2Fa", "/aa%61"] { #expect(try table.route("GET \(path)") == "-") }
    }

    @Test func manyLiteralsOfOneNode() throws {
        let labels = (0..<1000).map { "item\($0)" }
        let table = try Table(
            labels.shuffled().map { "GET /items/\($0)" } + ["handle /items/Item7", "GET /items/ITEM8", "GET /items/a"])
        for label in labels {
            #expect(try table.route("GET /items/\(label)") == "GET /items/\(label)")
            #expect(try table.route("GET /items/\(label.replacing("i", with: "%69"))") == "GET /items/\(label)")
            #expect(try table.route("GET /items/\(label)0000") == "-")
        }
        for (path, route) in [
            ("ITEM7", "handle /items/Item7"), ("iteM7/more", "handle /items/Item7"), ("%49tem7", "handle /items/Item7"),
            ("ITEM8", "GET /items/ITEM8"), ("Item8", "-"), ("", "-"), ("item", "-"), ("z", "-"), ("%00", "-"),
            ("%", "-"),
            ("a", "GET /items/a"), ("A", "-"), ("item7", "GET /items/item7"),
        ] {
            #expect(try table.route("GET /items/\(path)") == route, "\(path)")
        }
    }

    /// A literal in the letter case of the path comes before one in any, whichever was added first.
    @Test func lettersInTheSameCaseComeFirst() throws {
        for names in [["handle /users", "GET /Users"], ["GET /Users", "handle /users"]] {
            let table = try Table(names)
            #expect(try table.route("GET /Users") == "GET /Users")
            #expect(try table.route("GET /users") == "handle /users")
            #expect(try table.route("GET /Users/more") == "handle /users")
            #expect(try table.route("POST /Users") == "handle /users")
        }
    }

    @Test func methods() throws {
        let table = try Table(
            "GET /a", "POST /a", "any /a", "DELETE /b", "GET /b", "PROPFIND /b", "POST /c", "HEAD /d", "GET /d",
            "GET /e/me", "PUT /e/:id", "any /e/*")
        for (line, route) in [
            ("GET /a", "GET /a"), ("POST /a", "POST /a"), ("PATCH /a", "any /a"), ("WHATEVER /a", "any /a"),
            ("HEAD /a", "GET /a"), ("OPTIONS /a", "any /a"), ("PROPFIND /b", "PROPFIND /b"), ("HEAD /b", "GET /b"),
            ("HEAD /d", "HEAD /d"), ("GET /d", "GET /d"), ("PUT /b", "-"), ("get /b", "-"), ("GET /c", "-"),
            ("GET /e/me", "GET /e/me"), ("PUT /e/me", "PUT /e/:id"), ("POST /e/me", "any /e/*"),
        ] {
            #expect(try table.route(line) == route, "\(line)")
        }
    }

    @Test func refusals() throws {
        let table = try Table("GET /a", "DELETE /b", "GET /b", "PROPFIND /b", "GET /c/me", "PUT /c/:id", "OPTIONS /d")
        let refusals: [(String, Int, String?)] = [
            ("POST /a", 405, "GET, HEAD, OPTIONS"), ("OPTIONS /a", 204, "GET, HEAD, OPTIONS"),
            ("PUT /b", 405, "GET, HEAD, DELETE, OPTIONS, PROPFIND"), ("MKCOL /b", 501, nil), ("MKCOL /x", 501, nil),
            ("DELETE /c/me", 405, "GET, HEAD, PUT, OPTIONS"), ("DELETE /c/7", 405, "PUT, OPTIONS"),
            ("GET /d", 405, "OPTIONS"), ("GET /x", 404, nil), ("OPTIONS /x", 404, nil),
            ("OPTIONS *", 204, "GET, HEAD, PUT, DELETE, OPTIONS, PROPFIND"),
        ]
        for (line, status, allow) in refusals {
            let expected = RouteTable.Refusal(status: status, allow: allow)
            #expect(try table.refusal(line) == expected, "\(line)")
        }
        #expect(try table.route("OPTIONS /d") == "OPTIONS /d")
    }

    // MARK: Straight-line handlers

    private static let handshake = "Upgrade: websocket\r\nConnection: Upgrade\r\n"

    @Test func straightLineHandlersTakeAllBelowTheirPath() throws {
        let table = try Table("handle /", "handle /Echo", "handle /echo/twice", "handle /rooms/:room")
        for (path, route) in [
            ("/", "handle /"), ("/other", "handle /"), ("/echo", "handle /Echo"), ("/ECHO/", "handle /Echo"),
            ("/echo/a/b", "handle /Echo"), ("/Echo/TWICE/and/more", "handle /echo/twice"), ("/echoes", "handle /"),
            ("/%65cho", "handle /Echo"), ("/%45cho", "handle /Echo"), ("/rooms", "handle /"),
            ("/rooms/7/more", "handle /rooms/:room"),
        ] {
            for method in ["GET", "POST", "WHATEVER"] {
                #expect(try table.route("\(method) \(path)") == route, "\(path)")
            }
            let handshake = RouteTableTests.handshake
            #expect(try table.route("GET \(path)", fields: handshake, upgrades: true) == route, "\(path)")
        }
        #expect(try table.parameters("GET /ROOMS/Seven/x") == ["room": "Seven"])
    }

    @Test func routesAndStraightLineHandlers() throws {
        let table = try Table(
            "GET /chat", "GET /chat/:id", "handle /chat", "handle /chat/live", "GET /other", "POST /x/*")
        let handshake = RouteTableTests.handshake
        for (line, plain, upgrade) in [
            ("GET /chat", "GET /chat", "handle /chat"), ("GET /chat/7", "GET /chat/:id", "handle /chat"),
            ("GET /chat/live", "handle /chat/live", "handle /chat/live"),
            ("POST /chat", "handle /chat", "handle /chat"),
            ("GET /CHAT", "handle /chat", "handle /chat"), ("GET /chat/7/8", "handle /chat", "handle /chat"),
            ("GET /other", "GET /other", "-"), ("GET /x/y", "-", "-"),
        ] {
            #expect(try table.route(line) == plain, "\(line)")
            #expect(try table.route(line, fields: handshake, upgrades: true) == upgrade, "\(line)")
            #expect(try table.route(line, fields: handshake, upgrades: false) == plain, "\(line)")
        }
    }

    // MARK: Errors

    @Test(arguments: [
        (["GET /users/:id", "GET /users/:name"], "a route for GET /users/:name: a route for GET /users/:id matches"),
        (["any /a/", "any /a"], "a route for any /a matches"), (["GET /*", "GET /*all"], "a route for GET /* matches"),
        (["handle /Chat", "handle /chat/"], "a handler for /Chat matches the same requests"),
        (["handle /a/*"], "it needs no wildcard"), (["GET a"], "cannot have a route for a: \"a\" must begin"),
        (["GET /a//b"], "cannot have a route for GET /a//b: it has an empty segment"), (["G,T /a"], "is no method"),
        ((0...22).map { "M\($0) /a" }, "more than 22 methods"),
    ])
    func routesThatCannotBeServed(_ names: [String], _ cause: String) {
        let error = #expect(throws: RouteError.self) { try Table(names) }
        #expect(error?.message.contains(cause) == true, "\(error?.message ?? "")")
    }

    @Test func closeCodesOfStraightLineHandlers() {
        let router = Router()
        router.handle("/a", whenMoved: .closes(1005)) { _, _ in }
        let error = #expect(throws: RouteError.self) { try RouteTable(router) }
        #expect(error?.message == "cannot have a handler for /a: 1005 is no close code that can be sent")
    }

    @Test func routersThatContainThemselves() {
        let (one, other) = (Router(), Router())
        one.mount("/a", other)
        other.mount("/b", one)
        let error = #expect(throws: RouteError.self) { try RouteTable(one) }
        #expect(error?.message.contains("cannot mount a router in itself") == true)
        one.isStarted = true  // ends
        #expect(other.isStarted)
    }

    @Test func manyRoutes() throws {
        let names = (0..<2000).map { "GET /r\($0 % 100)/s\($0 / 100)/:id" }
        let table = try Table(names)
        for index in stride(from: 0, to: 2000, by: 37) {
            #expect(try table.route("GET /r\(index % 100)/s\(index / 100)/x") == names[index])
        }
        #expect(try table.route("GET /r100/s1/x") == "-")
    }

    // MARK: Groups

    private struct Tag: Middleware {
        let name: String
        func handle(_ request: Request, _ response: Response, next: Next) async throws {}
    }

    @Test func groupsAndMountedRouters() throws {
        let router = Router()
        router.use(Tag(name: "root"))
        let users = Router()
        users.get("/") { _, _ in }
        users.get("/:id") { _, _ in }
        router.group("/api", use: [Tag(name: "api")]) { api in
            api.mount("/users", users)
            api.get("/:id/x") { _, _ in }
            api.group(use: [Tag(name: "inner")]) { $0.post("/:id/x") { _, _ in } }
            api.use(Tag(name: "late"))
        }
        router.mount("/people", users)
        users.post("/") { _, _ in }
        #expect(
            router.routes.description == """
                GET   /api/:id/x
                POST  /api/:id/x
                GET   /api/users
                POST  /api/users
                GET   /api/users/:id
                GET   /people
                POST  /people
                GET   /people/:id
                """)
        #expect(router.routes.count == 8 && router.routes[1].method == .post && !router.routes[1].isWebSocket)
        let table = try RouteTable(router)
        func tags(_ middleware: [any Middleware]) -> String {
            middleware.map { ($0 as! Tag).name }.joined(separator: " ")
        }
        let byPattern = Dictionary(
            table.routes.map { ($0.reference.info.pattern, tags($0.middleware)) }, uniquingKeysWith: { "\($0), \($1)" })
        #expect(byPattern["/api/users"] == "root api late, root api late" && byPattern["/people"] == "root, root")
        #expect(byPattern["/api/:id/x"] == "root api late, root api late inner")
        // Wrong methods are answered inside of what all routes of the pattern have in common.
        let request = try RequestTests.request("DELETE /api/7/x HTTP/1.1\r\nHost: a\r\n\r\n")
        let missed = table.match(request, upgrades: false).missed
        #expect(tags(table.endpointMiddleware[missed]) == "root api late")
    }
}
