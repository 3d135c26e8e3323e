/// A handler of requests as the application has registered it.
enum RequestFunction: Sendable {
    case synchronous(@MainActor (Request, Response) throws -> Void)
    case asynchronous(@MainActor (Request, Response) async throws -> Void)

    /// The handler as a worker calls it.
    var handler: RequestHandler {
        switch self {
        case .synchronous(let function): ConnectionHandlers.request(function)
        case .asynchronous(let function): ConnectionHandlers.request(function)
        }
    }

    /// Calls it inside of middleware.
    @MainActor func call(_ request: Request, _ response: Response) async throws {
        switch self {
        case .synchronous(let function): try function(request, response)
        case .asynchronous(let function): try await function(request, response)
        }
    }
}
