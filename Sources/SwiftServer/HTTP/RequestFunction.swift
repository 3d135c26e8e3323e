/// A handler of requests as the application has registered it.
enum RequestFunction: Sendable {
    case synchronous(@MainActor (Request, Response) throws -> Void)
    case asynchronous(@MainActor (Request, Response) async throws -> Void)
    /// A handler with middleware around it that may wait.
    case chain(Next)

    /// The handler as a worker calls it.
    var handler: RequestHandler {
        switch self {
        case .synchronous(let function): ConnectionHandlers.request(function)
        case .asynchronous(let function): ConnectionHandlers.request(function)
        case .chain(let chain): ConnectionHandlers.request(chain)
        }
    }

    /// Calls it inside of middleware.
    @MainActor func call(_ request: Request, _ response: Response) async throws {
        switch self {
        case .synchronous(let function): try function(request, response)
        case .asynchronous(let function): try await function(request, response)
        case .chain(let chain): try await chain(request, response)
        }
    }
}
