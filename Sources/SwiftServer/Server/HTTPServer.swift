/// A server that answers HTTP requests.
open class HTTPServer: Server, @unchecked Sendable {
    override var mainProtocol: PortProtocol { .http }

    /// One request, its body included unless that comes in pieces (``Settings/streamRequestBodies``). See ``Response`` for how
    /// it is answered.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) -> Void) {
        handlers.request = Handlers.request(handler)
    }

    /// The same as an asynchronous handler. While it is suspended, the handlers of further requests of the same client may
    /// run, if these have a safe method (GET, HEAD, OPTIONS, TRACE) and no body; the client gets the answers in order.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) async -> Void) {
        handlers.request = Handlers.request(handler)
    }
}
