/// The worker in this process, for values that know only the id of their connection.
enum CurrentWorker {
    private static let value = Lock<WorkerContext?>(nil)

    static var context: WorkerContext? { value.withLock { $0 } }

    /// The process runs handlers.
    static func begin(_ context: WorkerContext) { value.withLock { $0 = context } }

    /// The worker has closed its end of the link.
    static func end(_ context: WorkerContext) {
        value.withLock { if $0 === context { $0 = nil } }
    }
}
