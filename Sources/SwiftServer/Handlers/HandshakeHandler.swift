/// The handler that decides handshakes of a port, and its time limit.
struct HandshakeHandler: @unchecked Sendable {
    // `@unchecked`: registered before `start()`, called on the loop's thread only.
    /// The handler as it was registered: what middleware surrounds.
    let function: AnyObject
    /// Asks the handler, which has the time limit.
    let decide: (WorkerContext, Request, Duration) -> Void
    var timeLimit = Duration.seconds(10)

    func callAsFunction(_ worker: WorkerContext, _ request: Request) { decide(worker, request, timeLimit) }
}
