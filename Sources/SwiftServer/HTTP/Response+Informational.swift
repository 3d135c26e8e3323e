extension Response {
    /// Sends an informational response before the response itself. With status 103 (Early Hints) a browser fetches what
    /// the page needs while the handler still works on the page:
    ///
    /// ```swift
    /// response.sendInformational(103, ["Link": "</style.css>; rel=preload; as=style"])
    /// response.end(try await page(for: request))
    /// ```
    ///
    /// There may be several of them. Status and fields of the response itself are not changed. HTTP/1.0 clients, which
    /// would take it for the response, get none, and neither does a request of a pipelining client while earlier
    /// responses are missing; the result is ``ResponseResult/accepted`` nevertheless.
    ///
    /// The server asks for the bodies of clients that wait (`Expect: 100-continue`) by itself.
    ///
    /// - Parameters:
    ///   - status: 102...199.
    ///   - fields: the header fields; a name may be there more than once.
    /// - Returns: ``ResponseResult/invalid`` for a number out of range, or a name or value that could break the
    ///   response; ``ResponseResult/full`` when the fields are too large, or the output queue of a slow client has no
    ///   room; ``ResponseResult/begun`` or ``ResponseResult/ended`` after the head of the response;
    ///   ``ResponseResult/closed``. Nothing is sent then.
    @discardableResult public func sendInformational(
        _ status: Int, _ fields: KeyValuePairs<String, String> = [:]
    ) -> ResponseResult {
        if hasEnded { return .ended }
        if isBegun { return .begun }
        guard worker.isOpen else { return .closed }
        guard (102...199).contains(status) else { return .invalid }
        var packed = PackedFields()
        for (name, value) in fields where !packed.append(name, value) {
            return PackedFields.isValid(name, value) ? .full : .invalid
        }
        let isSent = unsafe packed.withBytes {
            unsafe worker.link.respondInterim(request, status: UInt16(status), fields: $0)
        }
        return isSent ? .accepted : worker.bus.exists(request.connection) ? .full : .closed
    }
}
