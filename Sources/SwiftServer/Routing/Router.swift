/// A set of routes that is built separately and mounted, below a path or several, in servers, ports and other routers.
///
/// ```swift
/// let users = Router()
/// users.get("/") { request, response in ... }
/// users.get("/:id") { request, response in ... }
///
/// server.mount("/users", users)
/// ```
///
/// A group is a router, too, and so is what a server has of its own. ``RouteBuilder`` has the methods that add routes.
/// Routes are added before the server starts.
public final class Router: RouteBuilder, @unchecked Sendable {
    // `@unchecked`: like its server, it is configured by one thread before the start.

    /// What requests are served by.
    enum Action {
        case request(RequestFunction)
        case webSocket(WhenMoved, @MainActor (Request, WebSocket) async throws -> Void)
    }

    struct Entry {
        enum Content {
            /// A route; without a method it is one for any.
            case route(HTTPMethod?, Action)
            case router(Router)
        }
        let path: String
        let content: Content
    }

    private(set) var entries: [Entry] = []
    private(set) var middleware: [any Middleware] = []
    /// Whether a server with these routes was started.
    var isStarted = false {
        didSet {
            guard isStarted != oldValue else { return }  // routers that contain each other
            for case .router(let router) in entries.map(\.content) { router.isStarted = isStarted }
        }
    }

    /// Makes a router without routes.
    public init() {}

    /// The router itself.
    public var router: Router { self }

    var isEmpty: Bool { entries.isEmpty && middleware.isEmpty }

    func add(_ path: String, _ content: Entry.Content, _ name: @autoclosure () -> String) {
        if !isRefused(name()) { entries.append(Entry(path: path, content: content)) }
    }

    func add(_ middleware: [any Middleware]) {
        if !isRefused("middleware") { self.middleware += middleware }
    }

    /// Whether a change comes too late, which is logged.
    private func isRefused(_ change: String) -> Bool {
        if isStarted { Log.error("cannot set \(change) after start(), which has read the configuration") }
        return isStarted
    }
}
