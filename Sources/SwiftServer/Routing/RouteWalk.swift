/// All routes of a router and of those that are mounted in it.
struct RouteWalk {
    /// A route with its whole pattern.
    struct Route {
        let method: HTTPMethod?
        let pattern: String
        let action: Router.Action
        /// The routers around it, the outermost first.
        let scopes: [Scope]

        /// The route as errors name it.
        var name: String {
            if case .webSocket = action { return "a handler for \(pattern)" }
            return "a route for \(method?.rawValue ?? "any") \(pattern)"
        }
    }

    /// A router at one of the places where it is mounted.
    final class Scope {
        let middleware: [any Middleware]

        init(_ router: Router) { middleware = router.middleware }
    }

    /// The number of routers that may contain each other: more are a router that contains itself.
    static let deepest = 100
    static let mostRoutes = 100_000

    private var count = 0

    /// Calls `body` with each route. Throws its error, and one for routes that have no place.
    static func visit(_ router: Router, _ body: (Route) throws(RouteError) -> Void) throws(RouteError) {
        var walk = RouteWalk()
        try walk.visit(router, "", [], body)
    }

    private mutating func visit(
        _ router: Router, _ prefix: String, _ outer: [Scope], _ body: (Route) throws(RouteError) -> Void
    ) throws(RouteError) {
        guard outer.count < RouteWalk.deepest else {
            throw RouteError(
                message: "cannot mount a router in itself, or more than \(RouteWalk.deepest) in each other")
        }
        let scopes = outer + [Scope(router)]
        for entry in router.entries {
            switch entry.content {
            case .route(let method, let action):
                count += 1
                guard count <= RouteWalk.mostRoutes else {
                    throw RouteError(message: "cannot have more than \(RouteWalk.mostRoutes) routes")
                }
                try body(Route(method: method, pattern: try joined(prefix, entry.path), action: action, scopes: scopes))
            case .router(let router):
                try visit(router, try joined(prefix, entry.path), scopes, body)
            }
        }
    }

    private func joined(_ prefix: String, _ path: String) throws(RouteError) -> String {
        do throws(RouteError) { return try RoutePattern.joined(prefix, path) } catch {
            throw RouteError(message: "cannot have a route for \(prefix)\(path): \(error.message)")
        }
    }
}
