extension WorkerContext {
    /// The largest reason of a close, in bytes of UTF-8.
    private static let longestReason = 123

    /// Closes a WebSocket whose handler has thrown an error: with the code and the message of a ``RequestError``, else
    /// with 1011 and no reason.
    func close(_ fd: ConnectionID, because error: any Error) {
        if let error = error as? any RequestError {
            var reason = error.message
            while reason.utf8.count > WorkerContext.longestReason { reason.removeLast() }
            if close(fd, code: error.closeCode, reason: reason) { return }
        }
        _ = close(fd, code: 1011, reason: "")
    }
}
