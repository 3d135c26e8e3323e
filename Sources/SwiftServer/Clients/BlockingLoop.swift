internal import CReactor

/// A loop of its own that a blocking client turns while it waits for something. One thread at a time may use it.
@safe final class BlockingLoop {
    let raw: OpaquePointer
    private var isOverdue = false

    init() throws(ClientError) {
        var loop: OpaquePointer?
        let result = unsafe cre_loop_create(&loop)
        guard result == 0, let loop = unsafe loop else { throw ClientError("cannot make an event loop", result) }
        unsafe raw = loop
    }

    deinit { unsafe cre_loop_destroy(raw) }

    /// Ends the turn that is running: a condition of ``run(timeout:until:)`` may have changed.
    func stop() { unsafe cre_loop_stop(raw) }

    /// Turns the loop until the condition is met. Returns false if the time limit has passed before.
    func run(timeout: Duration?, until isDone: () -> Bool) throws(ClientError) -> Bool {
        if isDone() { return true }
        isOverdue = false
        var timer: OpaquePointer?
        if let timeout {
            let result = unsafe cre_timer_start(
                raw, UInt64(max(0, timeout.milliseconds)), 0,
                { context, _ in
                    let owner = unsafe Unmanaged<BlockingLoop>.fromOpaque(context!).takeUnretainedValue()
                    owner.isOverdue = true
                    owner.stop()
                }, Unmanaged.passUnretained(self).toOpaque(), &timer)
            guard result == 0 else { throw ClientError("cannot start a timer", result) }
        }
        defer { unsafe cre_timer_stop(timer) }
        while !isDone() {
            if isOverdue { return false }
            unsafe cre_loop_run(raw)
        }
        return true
    }
}
