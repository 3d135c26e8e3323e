/// A handler of requests as the application has registered it.
final class RequestFunction: Sendable {
    enum Form: Sendable {
        case synchronous(@MainActor (Request, Response) throws -> Void)
        case asynchronous(@MainActor (Request, Response) async throws -> Void)
    }

    let form: Form

    init(_ form: Form) { self.form = form }

    @MainActor func call(_ request: Request, _ response: Response) async throws {
        switch form {
        case .synchronous(let handler): try handler(request, response)
        case .asynchronous(let handler): try await handler(request, response)
        }
    }
}
