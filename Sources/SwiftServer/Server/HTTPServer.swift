/// A server that answers HTTP requests.
open class HTTPServer: Server, @unchecked Sendable {
    override var mainProtocol: PortProtocol { .http }

    /// Called with a request that no route serves (``RouteBuilder``), including its body unless that arrives in pieces
    /// (``Settings/streamRequestBodies``). Answer it through the ``Response``. When the handler throws, the client gets
    /// status 500, or the end of the connection if a part of the response was sent.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) throws -> Void) {
        ports[0].register(.synchronous(handler))
    }

    /// Called with a request. While the handler is suspended, handlers of further requests of the same client may run,
    /// if these have a safe method (GET, HEAD, OPTIONS, TRACE) and no body; the client gets the responses in order.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) async throws -> Void) {
        ports[0].register(.asynchronous(handler))
    }
}
