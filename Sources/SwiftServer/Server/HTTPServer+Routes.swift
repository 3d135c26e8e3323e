/// The routes of a server, and of a port that has its own: without any, a port has those of the server.
extension HTTPServer: RouteBuilder {
    /// The routes of the server.
    public var router: Router { ports[0].ownRouter }
}

extension ServerPort: RouteBuilder where Owner: HTTPServer {
    /// The routes of this port.
    public var router: Router { ownRouter }
}
