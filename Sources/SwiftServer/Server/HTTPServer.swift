/// A server that answers HTTP requests.
open class HTTPServer: Server, @unchecked Sendable {
    override func checkHandlers() throws(ServerError) {
        if handlers.request == nil {
            throw ServerError(code: .missingHandler, message: "an HTTP server needs onRequest; port \(port) has none")
        }
    }

    /// One whole request, its body included. See ``Response`` for how it is answered.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) -> Void) {
        let direct = onLoop(handler)
        handlers.request = { runtime, request in
            if runtime.isBusy(request.fd) {
                runtime.run(request.fd) { handler(request, Response(id: request.fd, runtime: runtime)) }
            } else {
                direct(request, MainActor.assumeIsolated { Response(id: request.fd, runtime: runtime) })
            }
        }
    }

    /// The same as an asynchronous handler.
    public func onRequest(_ handler: @escaping @MainActor (Request, Response) async -> Void) {
        handlers.request = { runtime, request in
            runtime.run(request.fd) { await handler(request, Response(id: request.fd, runtime: runtime)) }
        }
    }
}
