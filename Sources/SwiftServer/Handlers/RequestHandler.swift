/// The handler of requests, in the form in which a worker calls it. A structure, because an optional function is called
/// through conversions of its arguments.
@safe struct RequestHandler: @unchecked Sendable {
    // `@unchecked`: registered before `start()`, called on the loop's thread only.
    private let body: (WorkerContext, Request) -> Void

    init(_ body: @escaping (WorkerContext, Request) -> Void) { self.body = body }

    @inline(__always) func callAsFunction(_ worker: WorkerContext, _ request: Request) { body(worker, request) }
}
