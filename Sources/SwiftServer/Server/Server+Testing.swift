extension Server {
    /// Starts a server of ``ServerMode/single`` in the process of a test.
    ///
    /// - Parameter listening: is called when the server can be used, after `onStart`.
    package func start(
        under conditions: TestConditions, listening: @escaping @Sendable () -> Void
    ) throws(ServerError) {
        let start = processHandlers.start
        processHandlers.start = {
            start?()
            listening()
        }
        try self.start(under: conditions)
    }

    /// Gives the server a connected socket, as if the port at this place of ``ports`` had accepted it. The server
    /// closes it in any case.
    package func adopt(_ descriptor: Int32, port: Int) {
        guard let worker else { return }
        worker.loop.post { worker.link.adopt(descriptor, port: port) }
    }

    /// The time at which the next timer of the application is due; `nil` when there is none, or the loop runs them.
    @MainActor package var nextTimer: ContinuousClock.Instant? { worker?.timers.nextDue }

    /// Fires the timers of the application that are due.
    @MainActor package func fireTimers() { worker?.timers.fireDue() }
}
