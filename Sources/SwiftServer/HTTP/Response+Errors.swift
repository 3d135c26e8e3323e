extension Response {
    /// Completes the response to a request whose handler has ended: with the status and the message of a
    /// ``RequestError`` that it has thrown before it responded, else as ``conclude(failed:)``.
    func conclude(_ error: (any Error)?) {
        guard let error = error as? any RequestError, !isBegun else { return conclude(failed: error != nil) }
        status((400...499).contains(error.status) ? error.status : 400)
        header("Content-Type", "text/plain; charset=utf-8")
        end(error.message)
    }

    /// Ends the response with the phrase of its status as a text (RFC 9110, section 15.5). Fields that describe the
    /// handler's body, which is not sent, are dropped.
    func endWithReason() {
        dropRepresentation()
        end("\(Response.reasonPhrase(of: status))\n")
    }

    /// Drops the fields that describe a body.
    func dropRepresentation() {
        for name in ["Content-Type", "Content-Encoding", "Content-Language"] where headers[name] != nil {
            headers.remove(name)
        }
    }
}
