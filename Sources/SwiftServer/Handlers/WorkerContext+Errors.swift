extension WorkerContext {
    /// The largest reason of a close, in bytes of UTF-8.
    private static let longestReason = 123

    /// Closes a WebSocket whose handler has thrown an error: with the code and the message of a ``RequestError``, else
    /// with 1011 and no reason.
    func close(_ fd: ConnectionID, because error: any Error) {
        if let error = error as? any RequestError {
            var reason = error.message
            while reason.utf8.count > WorkerContext.longestReason { reason.removeLast() }
            if close(fd, code: error.closeCode, reason: reason).isAccepted { return }
        }
        _ = close(fd, code: 1011, reason: "")
    }

    /// A handler that belongs to no connection has thrown an error, which is logged.
    @inline(never) func handlerFailed(_ event: ServerEvent.Kind, _ error: any Error) {
        if !hasClosed { HandlerFailures.log(name, event.handlerName, error) }
    }

    /// A handler has thrown an error: logs it, unless the client has caused it or left, and closes the connection if
    /// the handler was to begin or continue it.
    @inline(never) func handlerFailed(_ event: ServerEvent.Kind, _ fd: ConnectionID, _ error: any Error) {
        guard !hasClosed else { return }
        if !(error is any RequestError), error as? ResponseError != .closed {
            HandlerFailures.log(name, "\(event.handlerName) of connection \(fd)", error)
        }
        switch event {
        case .open, .message, .connect, .receive: close(fd, because: error)
        default: break
        }
    }

    /// `onWorkerStart` has thrown an error: the process cannot do its work.
    func startFailed(_ error: any Error) {
        guard !hasClosed else { return }
        let cause = "onWorkerStart has failed: \(HandlerFailures.text(error))"
        if let whenStartFailed { whenStartFailed(cause) } else { fail(cause) }
    }
}
