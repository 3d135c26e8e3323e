extension WebSocketServer {
    /// Serves a path by a straight-line handler: one call per connection, from its request to its end.
    ///
    /// ```swift
    /// server.handle("/websocket") { request, ws in
    ///     try await ws.upgrade()
    ///     while let frame = try await ws.recv() {
    ///         try await ws.push("Hello \(frame.text)!")
    ///     }
    /// }
    /// server.handle("/") { request, response in
    ///     response.end("<h1>Hello</h1>")
    /// }
    /// ```
    ///
    /// A request goes to the handler with the longest path that its own begins with, by whole segments and in any
    /// letter case; "/" takes what no other path fits. Routes for a method (``RouteBuilder``) come before a handler of
    /// the same path, and of a shorter one. Requests that fit none go to `onRequest`, WebSockets to `onOpen`
    /// and `onMessage`, where there are such handlers, and get status 404 otherwise. Callbacks are not called for
    /// connections that a straight-line handler serves.
    ///
    /// - Parameters:
    ///   - path: a pattern without a wildcard, such as "/rooms/:room"; see ``RouteBuilder``.
    ///   - whenMoved: what becomes of open WebSockets when their worker is replaced.
    ///   - handler: gets the request, and the object that answers it and becomes its WebSocket.
    public func handle(
        _ path: String, whenMoved: WhenMoved = .resumes,
        _ handler: @escaping @MainActor (Request, WebSocket) async throws -> Void
    ) {
        ports[0].ownRouter.handle(path, whenMoved: whenMoved, handler)
    }
}

extension ServerPort where Owner: WebSocketServer {
    /// Serves a path of this port by a straight-line handler; see ``WebSocketServer/handle(_:whenMoved:_:)``. A port
    /// without any has those of the server.
    public func handle(
        _ path: String, whenMoved: WhenMoved = .resumes,
        _ handler: @escaping @MainActor (Request, WebSocket) async throws -> Void
    ) {
        ownRouter.handle(path, whenMoved: whenMoved, handler)
    }
}
