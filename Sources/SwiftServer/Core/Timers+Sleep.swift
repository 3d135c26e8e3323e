extension Timers {
    /// Suspends the calling task until `duration` has passed, its task is cancelled or the loop ends.
    @MainActor func sleep(for duration: Duration) async {
        guard let loop, !Task.isCancelled else { return }
        sleepers += 1
        defer { sleepers -= 1 }
        let sleeper = Sleeper()
        await withTaskCancellationHandler {
            unsafe await withUnsafeContinuation { continuation in
                unsafe sleeper.begin(continuation, self, duration)
            }
        } onCancel: {
            loop.post { sleeper.cancel() }
        }
    }

    /// A handler of the application as the function of a timer, which fires on the main actor's thread.
    /// An error that it throws is logged.
    static func function(_ handler: @escaping @MainActor (TimerID) throws -> Void) -> (TimerID) -> Void {
        { id in
            MainActor.assumeIsolated {
                do { try handler(id) } catch { HandlerFailures.log(nil, "timer \(id)", error) }
            }
        }
    }

    /// Whether a timer may repeat at this interval; if not, an error is logged.
    static func isValid(interval: Duration) -> Bool {
        if interval >= .milliseconds(1) { return true }
        Log.error("cannot start a timer: the interval of tick(every:) must be 1 ms or more, got \(interval)")
        return false
    }
}

/// A task that is suspended until its timer fires or it is cancelled.
@safe private final class Sleeper: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private var continuation: UnsafeContinuation<Void, Never>?
    private var timers: Timers?
    private var timer = TimerID.invalid

    func begin(_ continuation: UnsafeContinuation<Void, Never>, _ timers: Timers, _ duration: Duration) {
        unsafe self.continuation = continuation
        self.timers = timers
        timer = timers.start(after: duration, every: nil, .sleeping) { [self] _ in wake() }
    }

    func cancel() {
        if timers?.clear(timer) == true { wake() }
    }

    private func wake() {
        timers = nil
        unsafe continuation.take()?.resume()
    }
}
