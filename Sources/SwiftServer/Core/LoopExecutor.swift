internal import CReactor
internal import CReactorInternal
internal import Glibc

/// Where the activity of a process is published: a function of C and its context, so that no reference is counted for
/// each job.
@safe struct ActivityDisplay {
    private let context: OpaquePointer
    private let function: @convention(c) (OpaquePointer?, UInt32) -> Bool

    init(_ context: OpaquePointer, _ function: @escaping @convention(c) (OpaquePointer?, UInt32) -> Bool) {
        unsafe (self.context, self.function) = (context, function)
    }

    /// Publishes the beginning of an activity (CRE_AT_*), or its end (CRE_AT_NOTHING). Returns false inside another
    /// activity; the end must not be published then.
    @inline(__always) func publish(_ activity: UInt32) -> Bool { unsafe function(context, activity) }
}

/// Runs Swift's jobs on a loop's thread.
///
/// It is the serial executor of the main actor (through the runtime's hook) and the task executor of every handler, so
/// that nothing a handler awaits leaves the thread unless it asks to. When its loop has ended, it passes jobs on to the
/// main actor's own executor: tasks may refer to this one for as long as they live.
@safe final class LoopExecutor: SerialExecutor, TaskExecutor {
    // Set once in init, before anybody can use the executor.
    nonisolated(unsafe) private let jobs: OpaquePointer
    private let thread = pthread_self()
    /// Other threads use `jobs` only while they hold this lock and it says true.
    private let isOpen = Lock(true)
    /// Whether the loop has ended, for the loop's own thread, which needs no lock to read it.
    nonisolated(unsafe) private var hasEnded = false
    /// How many jobs were passed on. The loop's thread only.
    nonisolated(unsafe) private var passedOn = 0
    /// Publishes that asynchronous code runs. Set once, before anything runs that is worth showing.
    nonisolated(unsafe) var display: ActivityDisplay?

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

    /// Whether the calling thread is the loop's, and the loop has not ended.
    var isHere: Bool { unsafe pthread_self() == thread && !hasEnded }

    func enqueue(_ job: consuming ExecutorJob) {
        let job = UnownedJob(job)
        if isHere {
            unsafe cre_jobs_enqueue(jobs, unsafeBitCast(job, to: UnsafeMutableRawPointer.self))
        } else {
            enqueueFromElsewhere(job)
        }
    }

    private func enqueueFromElsewhere(_ job: UnownedJob) {
        let isQueued = isOpen.withLock { isOpen in
            if isOpen { unsafe cre_jobs_enqueue(jobs, unsafeBitCast(job, to: UnsafeMutableRawPointer.self)) }
            return isOpen
        }
        if !isQueued { MainActor.shared.enqueue(job) }
    }

    private func run(_ job: UnsafeMutableRawPointer) {
        if unsafe hasEnded {
            unsafe passedOn += 1
            return unsafe MainActor.shared.enqueue(unsafeBitCast(job, to: UnownedJob.self))
        }
        let isShown = unsafe display?.publish(UInt32(CRE_AT_JOB)) ?? false
        defer { if isShown { unsafe _ = display?.publish(UInt32(CRE_AT_NOTHING)) } }
        unsafe unsafeBitCast(job, to: UnownedJob.self).runSynchronously(
            isolatedTo: asUnownedSerialExecutor(), taskExecutor: asUnownedTaskExecutor())
    }

    func asUnownedSerialExecutor() -> UnownedSerialExecutor { unsafe UnownedSerialExecutor(ordinary: self) }
    func asUnownedTaskExecutor() -> UnownedTaskExecutor { unsafe UnownedTaskExecutor(ordinary: self) }
    func checkIsolated() { precondition(isHere, "this code must run on the server's loop") }
    func isIsolatingCurrentContext() -> Bool? { isHere }

    /// Whether the loop's thread has queued jobs that have not begun. Called on that.
    @inline(__always) var hasQueuedJobs: Bool { unsafe cre_jobs_queued(jobs) }

    /// Runs what is queued, so that a handler begins in the turn in which its event came. Inside a job it does nothing:
    /// the jobs that are queued then come next anyway.
    func drain() { unsafe cre_jobs_run(jobs) }

    /// Passes the queued jobs on to the main actor's own executor, and from now on all others. Call it on the loop's
    /// thread, after the main actor got its executor back and before the loop is destroyed, which frees the queue.
    func end() {
        isOpen.withLock { $0 = false }
        unsafe hasEnded = true
        unsafe display = nil
        var before: Int
        repeat {
            unsafe before = passedOn
            unsafe cre_jobs_run(jobs)
        } while unsafe passedOn > before
    }
}
