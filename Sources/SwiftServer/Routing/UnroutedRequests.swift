/// Serves the requests and handshakes of a port for which there is no route: by callbacks, or with a refusal.
@safe final class UnroutedRequests: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private let table: RouteTable
    private let worker: WorkerContext
    /// `onRequest`, for workers and inside of middleware.
    private let request: RequestHandler?
    private let function: RequestFunction?
    /// `onHandshake`.
    private let handshake: HandshakeHandler?
    /// Whether callbacks serve WebSockets.
    let acceptsWebSockets: Bool

    init(_ table: RouteTable, _ handlers: ConnectionHandlers, _ function: RequestFunction?, _ worker: WorkerContext) {
        self.table = table
        self.worker = worker
        request = handlers.request
        self.function = function
        handshake = handlers.handshake
        acceptsWebSockets = handlers.handshake != nil || handlers.message != nil
    }

    // MARK: Requests

    func receive(_ request: Request, _ match: RouteTable.Match) {
        let refusal = table.refusal(of: request, match)
        if refusal == nil, let handler = self.request { return handler(worker, request) }
        MainActor.assumeIsolated {
            let response = Response(to: request, worker: worker)
            response.refuse(refusal ?? table.lastRefusal(of: request, match))
        }
    }

    /// Answers a request inside of middleware.
    @MainActor func answer(_ request: Request, _ response: Response) async throws {
        let match = table.match(request, upgrades: false)
        if let refusal = table.refusal(of: request, match) { return response.refuse(refusal) }
        guard let function else {
            return response.refuse(table.lastRefusal(of: request, match))
        }
        try await function.call(request, response)
    }

    // MARK: Handshakes

    func receiveHandshake(_ request: Request) {
        if let handshake { return handshake(worker, request) }
        _ = worker.link.upgrade(request.id, subprotocol: nil, fields: [])
    }

    /// Answers a handshake inside of middleware.
    @MainActor func accept(_ request: Request, _ response: Response) async throws {
        if let handshake { return await handshake.decide(request, response, worker) }
        let handshake = Handshake(request, response: response, worker: worker)
        try handshake.accept()
        handshake.conclude()
    }
}

extension Response {
    /// Sends the answer to a request that no route serves.
    fileprivate func refuse(_ refusal: RouteTable.Refusal) {
        status(refusal.status)
        if let allow = refusal.allow { header("Allow", allow) }
        guard let text = refusal.text else {
            end()
            return
        }
        header("Content-Type", "text/plain; charset=utf-8")
        end("\(text)\n")
    }
}

extension RouteTable.Refusal {
    fileprivate var text: String? {
        switch status {
        case 400: "Bad Request"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 501: "Not Implemented"
        default: nil
        }
    }
}
