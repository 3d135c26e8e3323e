/// What routes can be added to: servers and ports for HTTP, groups, and a ``Router`` that is mounted.
///
/// ```swift
/// server.get("/users/:id") { request, response in
///     let id = try request.parameters.get("id", as: Int.self)
///     response.end("user \(id)")
/// }
/// ```
///
/// A pattern is a path of segments. `:name` is a parameter, one segment that is not empty. `*` or `*name`, as the last
/// segment, is a wildcard: the rest of the path, which may be empty. All others are literals, compared in their letter
/// case when the request's escapes are decoded. A slash at the end has no meaning, in patterns and in requests.
///
/// Where several patterns match, a literal comes before a parameter, and a parameter before a wildcard, segment by
/// segment from the left; patterns that have no route for the request's method are passed over. The order in which
/// routes are added does not matter.
///
/// - A request for a path that no pattern matches goes to `onRequest`, if there is one, and gets status 404 otherwise.
/// - A request with a method that the patterns of its path do not have gets status 405, with the methods in `Allow`;
///   status 501 if no route has the method and the standard does not either.
/// - HEAD is served by the route for GET, without the body, unless there is one for HEAD.
/// - OPTIONS gets status 204 with `Allow`, unless there is a route for it; so does `OPTIONS *`.
///
/// A malformed pattern, and a second route of the same pattern and method, are errors of ``Server/start()``.
public protocol RouteBuilder: AnyObject {
    /// The routes that the methods of this protocol add to.
    var router: Router { get }
}

extension RouteBuilder {
    // MARK: Routes

    /// Adds a route for GET, and for HEAD without one of its own.
    public func get(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) throws -> Void) {
        route(.get, pattern, handler)
    }

    /// Adds a route for GET, and for HEAD without one of its own. The asynchronous form.
    public func get(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) async throws -> Void) {
        route(.get, pattern, handler)
    }

    /// Adds a route for POST.
    public func post(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) throws -> Void) {
        route(.post, pattern, handler)
    }

    /// Adds a route for POST. The asynchronous form.
    public func post(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) async throws -> Void) {
        route(.post, pattern, handler)
    }

    /// Adds a route for PUT.
    public func put(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) throws -> Void) {
        route(.put, pattern, handler)
    }

    /// Adds a route for PUT. The asynchronous form.
    public func put(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) async throws -> Void) {
        route(.put, pattern, handler)
    }

    /// Adds a route for PATCH.
    public func patch(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) throws -> Void) {
        route(.patch, pattern, handler)
    }

    /// Adds a route for PATCH. The asynchronous form.
    public func patch(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) async throws -> Void) {
        route(.patch, pattern, handler)
    }

    /// Adds a route for DELETE.
    public func delete(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) throws -> Void) {
        route(.delete, pattern, handler)
    }

    /// Adds a route for DELETE. The asynchronous form.
    public func delete(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) async throws -> Void) {
        route(.delete, pattern, handler)
    }

    /// Adds a route for HEAD, in place of the one for GET.
    public func head(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) throws -> Void) {
        route(.head, pattern, handler)
    }

    /// Adds a route for HEAD, in place of the one for GET. The asynchronous form.
    public func head(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) async throws -> Void) {
        route(.head, pattern, handler)
    }

    /// Adds a route for OPTIONS, in place of the server's own answer.
    public func options(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) throws -> Void) {
        route(.options, pattern, handler)
    }

    /// Adds a route for OPTIONS, in place of the server's own answer. The asynchronous form.
    public func options(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) async throws -> Void) {
        route(.options, pattern, handler)
    }

    /// Adds a route for all methods that have none of their own.
    public func any(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) throws -> Void) {
        route(nil, pattern, handler)
    }

    /// Adds a route for all methods that have none of their own. The asynchronous form.
    public func any(_ pattern: String, _ handler: @escaping @MainActor (Request, Response) async throws -> Void) {
        route(nil, pattern, handler)
    }

    /// Adds a route for a method; `nil` stands for all methods that have none of their own.
    public func route(
        _ method: HTTPMethod?, _ pattern: String,
        _ handler: @escaping @MainActor (Request, Response) throws -> Void
    ) {
        add(method, pattern, .synchronous(handler))
    }

    /// Adds a route for a method; `nil` stands for all methods that have none of their own. The asynchronous form.
    public func route(
        _ method: HTTPMethod?, _ pattern: String,
        _ handler: @escaping @MainActor (Request, Response) async throws -> Void
    ) {
        add(method, pattern, .asynchronous(handler))
    }

    private func add(_ method: HTTPMethod?, _ pattern: String, _ function: RequestFunction) {
        router.add(pattern, .route(method, .request(function)), "a route for \(method?.rawValue ?? "any") \(pattern)")
    }

    // MARK: Groups

    /// Adds a group: routes that have the beginning of their patterns, or middleware, in common.
    ///
    /// ```swift
    /// server.group("/admin", use: [onlyAdmins]) { admin in
    ///     admin.get("/statistics") { request, response in ... }      // GET /admin/statistics
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - path: the beginning of the patterns, which may have parameters; "" for none.
    ///   - middleware: surrounds the routes of the group.
    ///   - routes: adds the routes.
    /// - Returns: the group, to which further routes can be added.
    @discardableResult public func group(
        _ path: String = "", use middleware: [any Middleware] = [], _ routes: (Router) throws -> Void = { _ in }
    ) rethrows -> Router {
        let group = Router()
        group.add(middleware)
        try routes(group)
        mount(path, group)
        return group
    }

    /// Adds the routes of a router that is built separately, also those that it gets later. It may be mounted several
    /// times.
    ///
    /// - Parameters:
    ///   - path: the beginning of the patterns, which may have parameters; "" for none.
    ///   - routes: the router.
    public func mount(_ path: String, _ routes: Router) {
        router.add(path, .router(routes), "a router for \(path)")
    }

    // MARK: Middleware

    /// Adds middleware, as the innermost so far. That of a server or port surrounds everything that the server answers:
    /// all routes, `onRequest`, answers like 404 and 405, and handshakes of WebSockets. That of a group or a router
    /// surrounds its routes.
    public func use(_ middleware: any Middleware...) { router.add(middleware) }

    /// Adds a function as middleware.
    ///
    /// ```swift
    /// server.use { request, response, next in
    ///     response.header("X-Frame-Options", "DENY")
    ///     try await next(request, response)
    /// }
    /// ```
    public func use(_ middleware: @escaping @MainActor (Request, Response, Next) async throws -> Void) {
        router.add([MiddlewareFunction(function: middleware)])
    }

    /// Adds a function as middleware that acts before the handler; see ``SynchronousMiddleware``.
    ///
    /// ```swift
    /// server.use { request, response in response.header("Server", "shop") }
    /// ```
    public func use(_ middleware: @escaping @MainActor (Request, Response) throws -> Void) {
        router.add([SynchronousMiddlewareFunction(function: middleware)])
    }

    // MARK: All routes

    /// All routes so far, which can be printed.
    public var routes: RouteList { RouteList(router) }
}

extension Router {
    /// Serves a path by a straight-line handler; see ``WebSocketServer/handle(_:whenMoved:_:)``. Its routes can be
    /// mounted in `.webSocket` ports only.
    public func handle(
        _ path: String, whenMoved: WhenMoved = .resumes,
        _ handler: @escaping @MainActor (Request, WebSocket) async throws -> Void
    ) {
        add(path, .route(nil, .webSocket(whenMoved, handler)), "a handler for \(path)")
    }
}
