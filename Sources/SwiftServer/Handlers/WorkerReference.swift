/// A reference to a worker that is not counted, for its most frequent use: a push. Whoever has it keeps the worker in
/// another way.
@safe struct WorkerReference {
    private let reference: Unmanaged<WorkerContext>

    init(_ worker: WorkerContext) { unsafe reference = .passUnretained(worker) }

    /// The worker, counted.
    var worker: WorkerContext { unsafe reference.takeUnretainedValue() }

    /// Calls `body` with the worker, without counting.
    @inline(__always) func with<Result>(_ body: (WorkerContext) -> Result) -> Result {
        unsafe reference._withUnsafeGuaranteedRef { body($0) }
    }
}
