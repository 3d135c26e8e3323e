extension Response {
    /// Completes the response to a request whose handler has ended: with the status and the message of a
    /// ``RequestError`` that it has thrown before it responded, else as ``conclude(failed:)``.
    func conclude(_ error: (any Error)?) {
        guard let error = error as? any RequestError, !isBegun else { return conclude(failed: error != nil) }
        status((400...499).contains(error.status) ? error.status : 400)
        header("Content-Type", "text/plain; charset=utf-8")
        end(error.message)
    }
}
