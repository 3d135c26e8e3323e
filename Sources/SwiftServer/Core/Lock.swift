internal import Glibc

/// A value behind a lock, for processes that fork. The standard library's `Mutex` caches the id of the thread, which is
/// another one in the child of a fork: there its `unlock` may abort.
@safe final class Lock<Value>: @unchecked Sendable {
    // `@unchecked`: the value is used under the lock only.
    private let mutex = UnsafeMutablePointer<pthread_mutex_t>.allocate(capacity: 1)
    // A second access would wait for the lock for ever, so none needs to be looked for.
    @safe @exclusivity(unchecked) private var value: Value

    init(_ value: sending Value) {
        self.value = value
        unsafe pthread_mutex_init(mutex, nil)
    }

    deinit {
        unsafe pthread_mutex_destroy(mutex)
        unsafe mutex.deallocate()
    }

    func withLock<Result>(_ body: (inout Value) -> Result) -> Result {
        unsafe pthread_mutex_lock(mutex)
        defer { unsafe pthread_mutex_unlock(mutex) }
        return body(&value)
    }
}
