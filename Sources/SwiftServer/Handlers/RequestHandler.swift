/// The handler of requests, in the form in which a worker calls it. A structure, because an optional function is called
/// through conversions of its arguments.
@safe struct RequestHandler: @unchecked Sendable {
    // `@unchecked`: registered before `start()`, called on the loop's thread only.
    private let body: (WorkerContext, Request) -> Void
    /// The handler as it was registered, if it was: what middleware surrounds.
    let function: AnyObject?

    init(function: AnyObject? = nil, _ body: @escaping (WorkerContext, Request) -> Void) {
        self.body = body
        self.function = function
    }

    @inline(__always) func callAsFunction(_ worker: WorkerContext, _ request: Request) { body(worker, request) }
}
