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
            let response = Response.take(for: request, worker: worker)
            response.refuse(refusal ?? table.lastRefusal(of: request, match))
            Response.leave(consume response)
        }
    }

    /// Answers requests inside of middleware. It is synchronous unless `onRequest` is not.
    var answer: RequestFunction {
        guard case .asynchronous(let function) = function else {
            return .synchronous { [self] request, response in
                if refuse(request, response) { return }
                if case .synchronous(let function) = function { try function(request, response) }
            }
        }
        return .asynchronous { [self] request, response in
            if !refuse(request, response) { try await function(request, response) }
        }
    }

    /// Refuses a request that no callback serves. Returns false for one that `onRequest` serves.
    @MainActor private func refuse(_ request: Request, _ response: Response) -> Bool {
        let match = table.match(request, upgrades: false)
        if let refusal = table.refusal(of: request, match) {
            response.refuse(refusal)
            return true
        }
        if function == nil { response.refuse(table.lastRefusal(of: request, match)) }
        return function == nil
    }

    // MARK: Handshakes

    func receiveHandshake(_ request: Request) {
        if let handshake { return handshake(worker, request) }
        _ = worker.link.upgrade(request.id, subprotocol: nil, fields: [])
        worker.requests.upgraded(request.id)
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
