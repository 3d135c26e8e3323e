extension Server {
    /// Calls `body` when the server listens, after `onStart`. For one that runs in the process of a test.
    package func observeStart(_ body: @escaping @Sendable () -> Void) {
        let start = processHandlers.start
        processHandlers.start = {
            start?()
            body()
        }
    }
}
