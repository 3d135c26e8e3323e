/// What becomes of the connections of a straight-line handler when their worker ends: in a reload, at the end of
/// ``Settings/maxRequests``, or in a crash. The connections themselves stay open, since another process owns them; in
/// base mode they end with their worker, whatever is said here.
public enum WhenMoved: Sendable, Hashable {
    /// The worker's successor calls the handler again, with ``WebSocket/isResumed``.
    case resumes
    /// The connections are closed with this code; 1012 means "service restart".
    case closes(UInt16)
}

/// A path, and the straight-line handler that serves it.
struct WebSocketRoute: Sendable {
    /// In lower case, without a slash at its end; empty for "/".
    let prefix: String
    let whenMoved: WhenMoved
    let handler: @MainActor (Request, WebSocket) async throws -> Void
}

/// The straight-line handlers of a port.
struct WebSocketRoutes: Sendable {
    private var routes: [WebSocketRoute] = []
    /// The first path that cannot be served.
    private(set) var invalidPath: String?

    var isEmpty: Bool { routes.isEmpty }

    /// Adds a handler, in place of one with the same path.
    mutating func add(
        _ path: String, _ whenMoved: WhenMoved,
        _ handler: @escaping @MainActor (Request, WebSocket) async throws -> Void
    ) {
        if !path.hasPrefix("/") || path.contains("?") { invalidPath = invalidPath ?? path }
        if case .closes(let code) = whenMoved, !WebSocketRoutes.isCloseCode(code) { invalidPath = invalidPath ?? path }
        var prefix = path.lowercased()
        while prefix.hasSuffix("/") { prefix.removeLast() }
        routes.removeAll { $0.prefix == prefix }
        routes.append(WebSocketRoute(prefix: prefix, whenMoved: whenMoved, handler: handler))
        // The longest first: the first that fits is the best.
        routes.sort { $0.prefix.utf8.count > $1.prefix.utf8.count }
    }

    /// The handler whose path is the longest one that the request's path begins with, compared by whole segments and in
    /// any letter case.
    func match(_ path: String) -> WebSocketRoute? {
        let path = path.lowercased()
        return routes.first {
            path.hasPrefix($0.prefix)
                && (path.utf8.count == $0.prefix.utf8.count || path.utf8.dropFirst($0.prefix.utf8.count).first == 0x2F)
        }
    }

    private static func isCloseCode(_ code: UInt16) -> Bool {
        switch code {
        case 1000...1003, 1007...1014, 3000...4999: true
        default: false
        }
    }
}
