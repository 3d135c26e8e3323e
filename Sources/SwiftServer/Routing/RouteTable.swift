internal import CReactor

/// The routes of a port, as `start()` has compiled them: a value that all processes of the server share.
final class RouteTable: Sendable {
    struct Route: Sendable {
        enum Action: Sendable {
            case request(RequestFunction)
            case webSocket(WebSocketRoute)
        }
        let action: Action
        let reference: RouteReference
        /// What surrounds it, the outermost first.
        let middleware: [any Middleware]
    }

    let routes: [Route]
    /// What surrounds everything that the port answers.
    let middleware: [any Middleware]
    /// What surrounds the answers to wrong methods, by endpoint: the middleware that all of its routes have in common.
    let endpointMiddleware: [[any Middleware]]
    /// The log files of all middleware.
    let logChannels: [LogChannel]
    /// Whether there are straight-line handlers.
    let hasWebSockets: Bool
    private let tree: RouteTree
    private let methods: RouteMethods
    private let allMethods: UInt32

    /// Compiles the routes of a router.
    ///
    /// - Parameter skipsWebSockets: whether straight-line handlers are none of the port's.
    /// - Throws: an error that names the first route that cannot be served.
    init(_ router: Router, skipsWebSockets: Bool = false) throws(RouteError) {
        let builder = RouteTreeBuilder()
        var methods = RouteMethods()
        var allMethods: UInt32 = 0
        var routes: [Route] = []
        var sources: [RouteWalk.Route] = []
        try RouteWalk.visit(router) { source throws(RouteError) in
            if skipsWebSockets, case .webSocket = source.action { return }
            do throws(RouteError) {
                let pattern = try RoutePattern(source.pattern)
                let action = try RouteTable.action(of: source, pattern)
                let equal: Int?
                switch action {
                case .request:
                    let method = try methods.bit(of: source.method)
                    allMethods |= method
                    equal = builder.add(pattern, method: method, route: routes.count)
                case .webSocket: equal = builder.addPrefix(pattern, route: routes.count)
                }
                if let equal { throw RouteError(message: "\(sources[equal].name) matches the same requests") }
                let info = RouteInfo(pattern: source.pattern, parameters: pattern.parameters)
                let middleware = source.scopes.flatMap(\.middleware)
                routes.append(Route(action: action, reference: RouteReference(info), middleware: middleware))
                sources.append(source)
            } catch {
                throw RouteError(message: "cannot have \(source.name): \(error.message)")
            }
        }
        let configured = (router.middleware + routes.flatMap(\.middleware)).compactMap {
            $0 as? any ConfiguredMiddleware
        }
        for middleware in configured {
            if let problem = middleware.problem { throw RouteError(message: problem) }
        }
        logChannels = configured.compactMap(\.logChannel)
        let (tree, endpoints) = builder.build()
        self.routes = routes
        middleware = router.middleware
        endpointMiddleware = endpoints.map { RouteTable.commonMiddleware($0.map { sources[$0].scopes }) }
        hasWebSockets = routes.contains { if case .webSocket = $0.action { true } else { false } }
        self.tree = tree
        self.methods = methods
        self.allMethods = allMethods
    }

    private static func action(
        of source: RouteWalk.Route, _ pattern: RoutePattern
    ) throws(RouteError) -> Route.Action {
        switch source.action {
        case .request(let function): return .request(function)
        case .webSocket(let whenMoved, let handler):
            if case .rest = pattern.segments.last {
                throw RouteError(message: "it serves all paths below anyway, so it needs no wildcard")
            }
            if case .closes(let code) = whenMoved, !WebSocketRoute.isCloseCode(code) {
                throw RouteError(message: "\(code) is no close code that can be sent")
            }
            return .webSocket(
                WebSocketRoute(
                    path: source.pattern, whenMoved: whenMoved, handler: HandlerRunners.AsyncHandler(handler)))
        }
    }

    private static func commonMiddleware(_ scopes: [[RouteWalk.Scope]]) -> [any Middleware] {
        guard let first = scopes.first else { return [] }
        let common = scopes.dropFirst().reduce(first) { common, other in
            zip(common, other).prefix { $0 === $1 }.map(\.0)
        }
        return common.flatMap(\.middleware)
    }

    // MARK: Matching

    /// What was found for a request.
    struct Match {
        /// The number of its route; negative when there is none.
        var route: Int
        /// The endpoint of its path that has other methods only; negative when there is none.
        var missed: Int
        /// The methods of the path, if it has others only.
        var allowed: UInt32
        var method: UInt32
        /// Whether the request is a handshake, and was matched with straight-line handlers only.
        var isHandshake: Bool
    }

    /// Finds the route of a request. Allocates nothing.
    ///
    /// - Parameter upgrades: whether handshakes are matched with straight-line handlers only.
    func match(_ request: Request, upgrades: Bool) -> Match {
        unsafe request.withView { view in
            let head = unsafe view.head.pointee
            let isHandshake = upgrades && Int(head.flags) & CRE_HTTP_UPGRADE_WEBSOCKET != 0
            let path = unsafe UnsafeBufferPointer(
                start: view.bytes + Int(head.path), count: Int(head.path_length))
            var search = unsafe RouteTree.Search(path, method: methods.bit(of: view), isHandshake: isHandshake)
            let route = tree.find(&search)
            return Match(
                route: route, missed: search.missed, allowed: search.allowed, method: search.method,
                isHandshake: isHandshake)
        }
    }

    /// The answer to a request that no route serves.
    struct Refusal: Equatable {
        let status: Int
        /// The value of an Allow field.
        var allow: String?
    }

    /// The answer to a request without a route. `nil` when its path has none either, and another handler may serve it.
    func refusal(of request: Request, _ match: Match) -> Refusal? {
        if request.isAsterisk, !routes.isEmpty { return Refusal(status: 204, allow: methods.allow(allMethods)) }
        guard match.missed >= 0 else { return nil }
        let allow = methods.allow(match.allowed)
        if match.method == RouteMethods.options { return Refusal(status: 204, allow: allow) }
        return match.method == 0 ? Refusal(status: 501) : Refusal(status: 405, allow: allow)
    }

    /// The answer to a request whose path has no route.
    func lastRefusal(of request: Request, _ match: Match) -> Refusal {
        Refusal(status: match.method == 0 ? 501 : request.hasWellFormedPath ? 404 : 400)
    }
}

extension RouteTable: WebSocketMatching {
    func webSocketRoute(of request: inout Request) -> WebSocketRoute? {
        let match = match(request, upgrades: true)
        guard match.route >= 0, case .webSocket(let route) = routes[match.route].action else { return nil }
        request.route = routes[match.route].reference
        return route
    }
}

extension Request {
    /// Whether the request is about the server as a whole: "OPTIONS *".
    fileprivate var isAsterisk: Bool {
        unsafe withView { unsafe Int($0.head.pointee.flags) & CRE_HTTP_ASTERISK_FORM != 0 }
    }

    fileprivate var hasWellFormedPath: Bool {
        unsafe withView { view in
            let head = unsafe view.head.pointee
            return unsafe PathText.isWellFormed(
                UnsafeBufferPointer(start: view.bytes + Int(head.path), count: Int(head.path_length)))
        }
    }
}
