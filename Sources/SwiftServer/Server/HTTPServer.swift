/// A server that answers HTTP requests.
open class HTTPServer: Server, @unchecked Sendable {
    override var mainProtocol: PortProtocol { .http }

    /// One whole request, its body included. See ``Response`` for how it is answered.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) -> Void) {
        handlers.request = Handlers.request(handler)
    }

    /// The same as an asynchronous handler.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) async -> Void) {
        handlers.request = Handlers.request(handler)
    }
}
