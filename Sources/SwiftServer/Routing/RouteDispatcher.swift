/// Gives the requests of a port to its routes, in a worker.
@safe final class RouteDispatcher: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private let table: RouteTable
    private let unrouted: UnroutedRequests
    private let upgrades: Bool
    /// The handlers of the routes, with the middleware around them.
    private let handlers: [RequestHandler]
    /// The handlers of requests without a route, with the middleware around them: of those with a wrong method by
    /// endpoint, of those without an endpoint, and of handshakes. `nil` without middleware.
    private let withWrongMethod: [RequestHandler?]
    private let withoutRoute: RequestHandler?
    private let handshakes: RequestHandler?

    private init(
        _ table: RouteTable, _ unrouted: UnroutedRequests, _ worker: WorkerContext, upgrades: Bool,
        sockets: OpenWebSockets?
    ) {
        self.table = table
        self.unrouted = unrouted
        self.upgrades = upgrades
        handlers = table.routes.map { RouteDispatcher.handler(of: $0, worker, sockets) }
        let answer = unrouted.answer
        withWrongMethod = table.endpointMiddleware.map { $0.isEmpty ? nil : answer.surrounded(by: $0).handler }
        let middleware = table.middleware
        withoutRoute = middleware.isEmpty ? nil : answer.surrounded(by: middleware).handler
        handshakes = middleware.isEmpty ? nil : RequestHandler(middleware) { try await unrouted.accept($0, $1) }
    }

    /// The handlers of a port, with its routes in the place of its handlers of requests and handshakes.
    ///
    /// - Parameters:
    ///   - handlers: the callbacks of the port.
    ///   - function: its `onRequest`.
    ///   - upgrades: whether the port serves WebSockets.
    static func handlers(
        _ table: RouteTable, _ handlers: ConnectionHandlers, _ function: RequestFunction?, _ worker: WorkerContext,
        upgrades: Bool, sockets: OpenWebSockets?
    ) -> ConnectionHandlers {
        let unrouted = UnroutedRequests(table, handlers, function, worker)
        let dispatcher = RouteDispatcher(table, unrouted, worker, upgrades: upgrades, sockets: sockets)
        var routed = handlers
        routed.handshake = nil
        routed.request = RequestHandler { dispatcher.receive($0, $1) }
        return routed
    }

    private static func handler(
        of route: RouteTable.Route, _ worker: WorkerContext, _ sockets: OpenWebSockets?
    ) -> RequestHandler {
        switch route.action {
        case .request(let function): return function.surrounded(by: route.middleware).handler
        case .webSocket(let webSocket):
            // Ports with such routes always have them.
            guard let sockets else { preconditionFailure("there is no one to serve \(webSocket.path)") }
            guard route.middleware.isEmpty else {
                return RequestHandler(route.middleware) { try await sockets.serveUntilAnswered($0, $1, webSocket) }
            }
            return RequestHandler { worker, request in
                let response = Response.take(for: request, worker: worker)
                sockets.serve(request, response, webSocket)
            }
        }
    }

    private func receive(_ worker: WorkerContext, _ request: consuming Request) {
        var match = table.match(request, upgrades: upgrades)
        if match.route < 0, match.isHandshake {
            if unrouted.acceptsWebSockets { return receiveHandshake(worker, request) }
            match = table.match(request, upgrades: false)
        }
        guard match.route >= 0 else { return receiveUnrouted(worker, request, match) }
        request.route = table.routes[match.route].reference
        handlers[match.route](worker, request)
    }

    @inline(never) private func receiveUnrouted(
        _ worker: WorkerContext, _ request: Request, _ match: RouteTable.Match
    ) {
        let handler = match.missed >= 0 ? withWrongMethod[match.missed] : withoutRoute
        if let handler { handler(worker, request) } else { unrouted.receive(request, match) }
    }

    @inline(never) private func receiveHandshake(_ worker: WorkerContext, _ request: Request) {
        if let handshakes { handshakes(worker, request) } else { unrouted.receiveHandshake(request) }
    }
}

extension RequestHandler {
    typealias Function = @MainActor (Request, Response) async throws -> Void

    /// A handler with middleware around it.
    fileprivate init(_ middleware: [any Middleware], around handler: @escaping Function) {
        self = ConnectionHandlers.request(Next(middleware, around: .asynchronous(handler)))
    }
}
