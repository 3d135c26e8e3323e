/// The server in an asynchronous program.
extension Server {
    /// Serves like ``start()``, in a program with an asynchronous `main`, and returns when the server has ended. When
    /// the task is cancelled, the server is stopped in order, as by ``shutdown()``.
    ///
    /// ```swift
    /// @main struct App {
    ///     static func main() async throws {
    ///         let server = WebSocketServer(port: 9501)
    ///         server.onMessage { server, frame in server.push(frame, to: frame.fd) }
    ///         try await server.run()
    ///     }
    /// }
    /// ```
    ///
    /// Process and base mode fork, so it must be called there before anything that starts threads, like ``start()``: as
    /// the first `await` of the program. ``ServerMode/single`` has no such limit. There a server fits wherever an
    /// asynchronous service is expected, for example as a child of a task group: `run()` has the form of the
    /// requirement of `Service` in swift-service-lifecycle.
    ///
    /// While it runs, the main actor runs on the server's loop.
    ///
    /// - Throws: ``ServerError``, as ``start()``. A task that is cancelled before its server has started returns at
    ///   once.
    @MainActor public func run() async throws(ServerError) { try await runToEnd() }

    /// ``run()`` by a name that a bridge can call whose own method hides it.
    @MainActor package func runToEnd() async throws(ServerError) {
        guard !Task.isCancelled else { return }
        let cancellation = cancellation
        let result = await withTaskCancellationHandler {
            attempt()
        } onCancel: {
            stopRun()
        }
        cancellation.withLock { $0.shutdown = nil }
        try result.get()
    }

    /// Stops the server of ``run()`` in order, also one that has not started yet. Any thread.
    package func stopRun() {
        cancellation.withLock {
            $0.isCancelled = true
            $0.shutdown?.raise()
        }
    }

    private func attempt() -> Result<Void, ServerError> {
        do throws(ServerError) {
            try start()
            return .success(())
        } catch {
            return .failure(error)
        }
    }

    /// The state of the task of ``run()``.
    struct Cancellation {
        var isCancelled = false
        /// Set while the server runs.
        var shutdown: Flag?
    }
}
