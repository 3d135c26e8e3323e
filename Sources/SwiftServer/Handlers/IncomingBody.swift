/// The received part of a body that was not read yet. Reading from the client pauses while it is large.
@safe final class IncomingBody: BodyReader, @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private enum End { case complete, broken }

    static let pauseAt = 256 << 10

    private let request: RequestID
    private let link: WorkerLink
    private let pauses: ReadPauses
    private var pieces: [[UInt8]] = []
    private var next = 0
    private var bytes = 0
    private var end: End?
    /// Whether a client that expects "100 Continue" has received it.
    private var isContinued: Bool
    private var isPaused = false
    private var reader: CheckedContinuation<Void, Never>?

    init(of request: RequestID, isExpected: Bool, link: WorkerLink, pauses: ReadPauses) {
        self.request = request
        self.link = link
        self.pauses = pauses
        isContinued = !isExpected
    }

    @MainActor func read() async throws -> [UInt8]? {
        guard reader == nil else { throw RequestBodyError.readTwice }
        if !isContinued {
            isContinued = true
            link.sendContinue(request)
        }
        if let piece = takeFirst() { return piece }
        return try await withTaskCancellationHandler {
            try await awaitPiece()
        } onCancel: {
            Task { @MainActor in self.wake() }
        }
    }

    /// The operation of a cancellation handler may run on another thread than the loop's. So it is all of this
    /// function, which returns to the loop: between the look at the pieces and the wait there must be no event.
    @MainActor private func awaitPiece() async throws -> [UInt8]? {
        while true {
            if let piece = takeFirst() { return piece }
            switch end {
            case .complete: return nil
            case .broken: throw RequestBodyError.incomplete
            case nil: break
            }
            try Task.checkCancellation()
            guard reader == nil else { throw RequestBodyError.readTwice }
            await wait()
        }
    }

    @MainActor private func wait() async {
        await withCheckedContinuation {
            MainActor.assertIsolated("the body must be awaited on the loop's thread")
            reader = $0
        }
    }

    /// Adds a piece: the last one when `isFinal`, and not the end of the body when `isBroken`.
    func receive(_ piece: UnsafeRawBufferPointer, isFinal: Bool, isBroken: Bool) {
        if unsafe !piece.isEmpty, end == nil {
            unsafe pieces.append([UInt8](piece))
            bytes += piece.count
        }
        if isFinal {
            finish(isBroken ? .broken : .complete)
        } else if bytes >= IncomingBody.pauseAt {
            pause(true)
        }
        wake()
    }

    /// Drops what was not read. Readers get ``RequestBodyError/incomplete``.
    func cut() {
        if end == nil {
            pieces = []
            (next, bytes) = (0, 0)
            isContinued = true
            finish(.broken)
        }
        wake()
    }

    private func finish(_ end: End) {
        if self.end == nil { self.end = end }
        pause(false)
    }

    private func takeFirst() -> [UInt8]? {
        guard next < pieces.count else { return nil }
        let piece = pieces[next]
        pieces[next] = []
        next += 1
        if next == pieces.count {
            pieces.removeAll(keepingCapacity: true)
            next = 0
        }
        bytes -= piece.count
        if bytes <= IncomingBody.pauseAt / 4 { pause(false) }
        return piece
    }

    private func pause(_ pause: Bool) {
        guard pause != isPaused else { return }
        isPaused = pause
        pauses.pause(request.connection, pause)
    }

    private func wake() { reader.take()?.resume() }
}
