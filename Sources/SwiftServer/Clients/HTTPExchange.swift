internal import CReactor
internal import Synchronization

/// A request and its response, over all its redirects. On the loop's thread.
@safe final class HTTPExchange: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread, `isOver` apart.
    enum End {
        case complete
        case failed(any Error)
    }

    let connections: HTTPConnections
    private let settings: HTTPClientSettings
    private(set) var head: HTTPResponseHead?
    private(set) var end: End?
    /// Whether nothing is left to be received, for any thread.
    let isOver = Atomic(false)

    /// Whether a part of the body of the request may have been sent.
    var hasBegunBody = false
    private let receivedTrailers = Lock(HTTPClient.Fields())
    /// The trailers of the response, for any thread.
    var trailers: HTTPClient.Fields { receivedTrailers.withLock { $0 } }

    private var link: HTTPLink?
    private var upload: Task<Void, Never>?
    private var timer: TimerID?
    private var waiter: UnsafeContinuation<Void, Never>?

    /// The part of the body that was received and not taken.
    private var pieces: [ArraySlice<UInt8>] = []
    private var taken = 0
    private var buffered = 0
    private var isPaused = false
    private var decoder: HTTPDecoder?

    private let timeout: Duration?
    private let deadline: ContinuousClock.Instant?

    /// The timer and the connection hold it as long as they exist.
    init(_ connections: HTTPConnections, timeout: Duration?) {
        self.connections = connections
        settings = connections.pool.settings
        self.timeout = timeout
        deadline = timeout.map { .now + $0 }
        guard let timeout else { return }
        timer = connections.loop.timers.start(after: timeout, every: nil) { _ in
            self.timer = nil
            self.abort(self.timeoutError)
        }
    }

    var timeoutError: ClientError {
        ClientError(.timedOut, "the request took longer than its timeout of \(timeout ?? .zero)")
    }

    /// The time that is left for the request, at least 1 ms; `nil`: there is no limit.
    var remaining: Duration? { deadline.map { max(.milliseconds(1), $0 - .now) } }

    // MARK: Waiting

    var isWaiting: Bool { unsafe waiter != nil }

    /// Suspends the calling task, which runs on the loop, until something has happened.
    func wait() async {
        assert(connections.loop.loop.executor.isHere, "the exchange must wait on the loop's thread")
        unsafe await withUnsafeContinuation { unsafe waiter = $0 }
    }

    private func wake() { unsafe waiter.take()?.resume() }

    // MARK: Beginning and end

    /// Before each request: the response before it is of no interest.
    func begin(_ link: HTTPLink) { self.link = link }

    /// Forgets the response, for the next request. A connection that still receives it is closed.
    func restart() {
        link?.abort()
        upload?.cancel()
        (link, upload, head, end, decoder) = (nil, nil, nil, nil, nil)
        (pieces, taken, buffered, isPaused, hasBegunBody) = ([], 0, 0, false, false)
        receivedTrailers.withLock { $0 = [:] }
    }

    func started(_ upload: Task<Void, Never>) { self.upload = upload }

    /// Ends the request early; its connection is closed.
    func abort(_ error: any Error) {
        guard !isOver.load(ordering: .relaxed) else { return }
        link?.abort()
        (pieces, taken, buffered) = ([], 0, 0)
        finish(.failed(error))
        over()
    }

    private func finish(_ end: End) {
        self.end = end
        link = nil
        upload?.cancel()
        upload = nil
        wake()
    }

    /// The response that was returned is the last one: with its end everything is over.
    func settle() throws(ClientError) {
        // A part of compressed data cannot be decompressed.
        if settings.decompresses, let head, head.status != 206, let coding = head.field("Content-Encoding") {
            decoder = try HTTPDecoder(coding: coding, limit: settings.maxDecompressed)
        }
        isSettled = true
        if end != nil { over() }
    }
    private var isSettled = false

    private func over() {
        isOver.store(true, ordering: .relaxed)
        if let timer { connections.loop.timers.clear(timer) }
        timer = nil
    }

    // MARK: Events of the connection

    func received(_ head: HTTPResponseHead) {
        self.head = head
        wake()
    }

    func received(_ bytes: [UInt8]) {
        pieces.append(bytes[...])
        buffered += bytes.count
        if !isPaused, buffered >= settings.maxBuffer {
            isPaused = true
            link?.pause(true)
        }
        wake()
    }

    func received(trailers: HTTPClient.Fields) { receivedTrailers.withLock { $0 = trailers } }

    func completed() {
        finish(.complete)
        if isSettled { over() }
    }

    func failed(_ error: any Error) {
        finish(.failed(error))
        if isSettled { over() }
    }

    // MARK: The body

    /// The whole body, if it is here and needs no decompression.
    func takeWhole() -> [UInt8]? {
        guard case .complete = end, decoder == nil else { return nil }
        let whole = pieces.count == 1 ? Array(pieces[0]) : pieces.flatMap { $0 }
        pieces = []
        return whole
    }

    /// The next piece; `nil` when there is none now, see `isAtEnd`.
    func takePiece() throws -> [UInt8]? {
        while let piece = firstPiece {
            guard let decoder else {
                dropFirst()
                return Array(piece)
            }
            let (output, used) = try decoder.decompress(piece)
            if used == piece.count, output.isEmpty {
                dropFirst()
            } else if used > 0 {
                pieces[taken] = piece.dropFirst(used)
            }
            if !output.isEmpty { return output }
        }
        return nil
    }

    private var firstPiece: ArraySlice<UInt8>? { taken < pieces.count ? pieces[taken] : nil }

    private func dropFirst() {
        pieces[taken] = []
        taken += 1
        if taken == pieces.count { (pieces, taken, buffered) = ([], 0, 0) }
        if isPaused, pieces.isEmpty {
            isPaused = false
            link?.pause(false)
        }
    }

    /// Whether the body has ended. Throws when it cannot be received to its end.
    func isAtEnd() throws -> Bool {
        switch end {
        case nil: return false
        case .failed(let error): throw error
        case .complete:
            try decoder?.finish()
            return true
        }
    }
}
