internal import CReactor
internal import CReactorInternal

/// Runs Swift's jobs on a loop's thread.
///
/// It is the serial executor of the main actor (through the runtime's hook) and the task executor of every handler, so
/// that nothing a handler awaits leaves the thread unless it asks to.
@safe final class LoopExecutor: SerialExecutor, TaskExecutor {
    // Set once in init, before anybody can use the executor.
    nonisolated(unsafe) private let jobs: OpaquePointer
    /// Shows that asynchronous code runs, as ``Timers/show``. Set once, before anything runs that is worth showing.
    nonisolated(unsafe) var show: ((UInt32) -> Bool)?

    init(loop: OpaquePointer) throws(ServerError) {
        // Jobs are chained through the first of the two words that the runtime leaves to executors, behind the two
        // words of the object header.
        let link = 2 * MemoryLayout<UInt>.size
        var queue: OpaquePointer?
        let cell = UnsafeMutablePointer<Unmanaged<LoopExecutor>?>.allocate(capacity: 1)
        unsafe cell.initialize(to: nil)
        let result = unsafe cre_jobs_create(
            loop, link,
            { context, job in
                let cell = unsafe context!.assumingMemoryBound(to: Unmanaged<LoopExecutor>?.self)
                unsafe cell.pointee!._withUnsafeGuaranteedRef { unsafe $0.run(job!) }
            }, cell, &queue)
        guard result == 0, let queue = unsafe queue else {
            unsafe cell.deallocate()
            throw .system("making a queue of jobs", result)
        }
        unsafe jobs = queue
        unsafe cell.pointee = Unmanaged.passRetained(self)
    }

    /// Whether the calling thread is the loop's.
    var isHere: Bool { unsafe cre_jobs_here(jobs) }

    func enqueue(_ job: consuming ExecutorJob) {
        unsafe cre_jobs_enqueue(jobs, unsafeBitCast(UnownedJob(job), to: UnsafeMutableRawPointer.self))
    }

    private func run(_ job: UnsafeMutableRawPointer) {
        let isShown = unsafe show?(UInt32(CRE_AT_JOB)) ?? false
        defer { if isShown { unsafe _ = show?(UInt32(CRE_AT_NOTHING)) } }
        unsafe unsafeBitCast(job, to: UnownedJob.self).runSynchronously(
            isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: self) }
    func asUnownedTaskExecutor() -> UnownedTaskExecutor { unsafe UnownedTaskExecutor(ordinary: self) }
    func checkIsolated() { precondition(isHere, "this code must run on the server's loop") }
    func isIsolatingCurrentContext() -> Bool? { isHere }

    /// Runs what is queued, so that a handler begins in the turn in which its event came. Inside a job it does nothing:
    /// the jobs that are queued then come next anyway.
    func drain() { unsafe cre_jobs_run(jobs) }
}
