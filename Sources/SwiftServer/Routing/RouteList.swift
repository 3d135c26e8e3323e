/// Routes for people to read: `print(server.routes)`.
public struct RouteList: RandomAccessCollection, Sendable, CustomStringConvertible {
    /// One route.
    public struct Element: Sendable, Hashable, CustomStringConvertible {
        /// The method; `nil` for a route of any method, and for straight-line handlers.
        public let method: HTTPMethod?
        /// The whole pattern, with those of groups and mounted routers.
        public let pattern: String
        /// Whether it is a straight-line handler: `handle(path)`.
        public let isWebSocket: Bool

        /// The method, "any" or "handle", and the pattern.
        public var description: String { "\(kind) \(pattern)" }

        var kind: String { isWebSocket ? "handle" : method?.rawValue ?? "any" }
    }

    private let elements: [Element]

    init(_ router: Router) {
        var elements: [Element] = []
        // What is wrong with a route is reported by `start()`.
        try? RouteWalk.visit(router) { route throws(RouteError) in
            let isWebSocket = if case .webSocket = route.action { true } else { false }
            elements.append(Element(method: route.method, pattern: route.pattern, isWebSocket: isWebSocket))
        }
        self.elements = elements.sorted { ($0.pattern, $0.kind) < ($1.pattern, $1.kind) }
    }

    /// 0.
    public var startIndex: Int { 0 }
    /// The number of routes.
    public var endIndex: Int { elements.count }
    /// The route at a place, in the order of patterns and methods.
    public subscript(index: Int) -> Element { elements[index] }

    /// A line for each route.
    public var description: String {
        let width = elements.map(\.kind.count).max() ?? 0
        return elements.map { route in
            route.kind + String(repeating: " ", count: width - route.kind.count + 2) + route.pattern
        }.joined(separator: "\n")
    }
}
