extension Response {
    /// Sends the next piece of the body, and suspends while the output queue of a slow client is full. An empty piece
    /// sends nothing. The first piece also sends status and fields; see
    /// ``write(_:)-(String)->ResponseResult``.
    ///
    /// ```swift
    /// server.onRequest { request, response in
    ///     for try await row in database.rows { try await response.write(row.csv) }
    ///     response.end()
    /// }
    /// ```
    ///
    /// - Throws: ``ResponseError``, or `CancellationError` when the task is cancelled while it waits; then nothing was
    ///   sent.
    public func write(_ text: String) async throws {
        try await writeWhenThereIsRoom(isEmpty: text.isEmpty) { response in
            var text = text
            return text.withUTF8 { unsafe response.writePiece(UnsafeRawBufferPointer($0), isText: true) }
        }
    }

    /// Sends the next piece of the body, and suspends while the output queue of a slow client is full; see
    /// `write(_:)` for a text.
    public func write(_ bytes: [UInt8]) async throws {
        try await writeWhenThereIsRoom(isEmpty: bytes.isEmpty) { response in
            unsafe bytes.withUnsafeBytes { unsafe response.writePiece($0, isText: false) }
        }
    }

    /// The first interval at which a piece is tried again, and the last one: each is twice the one before. The queue of
    /// the client wakes a writer earlier; that of the link to another process does not, and neither does a response
    /// before this one on its connection.
    private static let retryIntervals: ClosedRange<Duration> = .milliseconds(2) ... .milliseconds(250)

    private func writeWhenThereIsRoom(isEmpty: Bool, _ write: (Response) -> ResponseResult) async throws {
        var interval = Response.retryIntervals.lowerBound
        while true {
            guard !hasEnded else { throw ResponseError.ended }
            guard !isEmpty, !write(self).isAccepted else { return }
            guard worker.isOpen, worker.bus.exists(request.connection) else { throw ResponseError.closed }
            try Task.checkCancellation()
            if await worker.requests.waitForRoom(request.connection, interval, worker.timers) == .cancelled {
                throw CancellationError()
            }
            interval = min(interval * 2, Response.retryIntervals.upperBound)
        }
    }
}
