/// The handler of requests, in the form in which a worker calls it. A structure, because an optional function is called
/// through conversions of its arguments.
///
/// It runs on the main actor, whose executor is the worker's loop, so the function is called as a plain one. The cast
/// of a structure leaves it as it is, where that of the function itself would add conversions.
@safe struct RequestHandler: @unchecked Sendable {
    // `@unchecked`: registered before `start()`, called on the loop's thread only.
    // The request is given away: a route adds to it, and a task keeps it, without a copy.
    private struct Isolated { let call: @MainActor (WorkerContext, consuming Request) -> Void }
    private struct Plain { let call: (WorkerContext, consuming Request) -> Void }

    private let plain: Plain

    init(_ body: @escaping @MainActor (WorkerContext, consuming Request) -> Void) {
        plain = unsafe unsafeBitCast(Isolated(call: body), to: Plain.self)
    }

    @inline(__always) func callAsFunction(_ worker: WorkerContext, _ request: consuming Request) {
        #if DEBUG
        MainActor.assertIsolated()
        #endif
        plain.call(worker, request)
    }
}
