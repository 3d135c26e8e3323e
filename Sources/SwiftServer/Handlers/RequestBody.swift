/// The bytes of a request's body, in pieces as they come: `for try await bytes in request.bodyPieces`.
///
/// Only as much is read from the client as is asked for here, but for some 256 KiB. It can be read once, by one reader at
/// a time. It throws ``RequestBodyError/incomplete`` when the rest will not come, and `CancellationError` when the task
/// that reads is cancelled.
public struct RequestBody: AsyncSequence, Sendable {
    enum Source: Sendable {
        case whole([UInt8])
        case incoming(IncomingBody)
    }

    let source: Source

    /// Reads on where another reader has stopped; a body that came whole it reads from its beginning.
    public func makeAsyncIterator() -> AsyncIterator { AsyncIterator(source: source) }

    /// One reader of the pieces.
    public struct AsyncIterator: AsyncIteratorProtocol, Sendable {
        var source: Source

        /// The next piece, never an empty one; `nil` at the end of the body.
        public mutating func next() async throws -> [UInt8]? { try await next(isolation: #isolation) }

        /// The same without leaving the caller's actor.
        public mutating func next(isolation actor: isolated (any Actor)?) async throws -> [UInt8]? {
            switch source {
            case .whole(let bytes):
                source = .whole([])
                return bytes.isEmpty ? nil : bytes
            case .incoming(let body): return try await body.read()
            }
        }
    }
}

/// Why a body cannot be read.
public enum RequestBodyError: Error, Sendable, Hashable {
    /// The rest will not come: the client left, sent what makes no sense, too much or nothing for too long; or the request
    /// was answered before, or its worker is being replaced.
    case incomplete
    /// Another reader waits for the next piece.
    case readTwice
}

/// What came of a body and was not read yet. When that is much, the client has to wait.
@safe final class IncomingBody: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private enum End { case complete, broken }

    static let pauseAt = 256 << 10

    private let request: RequestID
    private let runtime: WorkerRuntime
    private var pieces: [[UInt8]] = []
    private var next = 0
    private var bytes = 0
    private var end: End?
    /// A client that waits for that was told to send the body.
    private var isWanted: Bool
    private var isPaused = false
    private var reader: CheckedContinuation<Void, Never>?

    init(of request: RequestID, isExpected: Bool, runtime: WorkerRuntime) {
        self.request = request
        self.runtime = runtime
        isWanted = !isExpected
    }

    @MainActor func read() async throws -> [UInt8]? {
        guard reader == nil else { throw RequestBodyError.readTwice }
        if !isWanted {
            isWanted = true
            runtime.wantBody(request)
        }
        while true {
            if let piece = takeFirst() { return piece }
            switch end {
            case .complete: return nil
            case .broken: throw RequestBodyError.incomplete
            case nil: break
            }
            try Task.checkCancellation()
            await withTaskCancellationHandler {
                await withCheckedContinuation { reader = $0 }
            } onCancel: {
                Task { @MainActor in self.wake() }
            }
        }
    }

    /// A piece came; the last one when `isFinal`, or none any more when `isBroken`.
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

    /// Nobody wants the rest, or it will not come.
    func cut() {
        if end == nil {
            pieces = []
            (next, bytes) = (0, 0)
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
        runtime.pause(request.connection, pause)
    }

    private func wake() { reader.take()?.resume() }
}
