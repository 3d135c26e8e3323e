internal import CReactor

/// The requests that were taken and not answered yet, and the bodies that are still arriving.
@safe final class OpenRequests: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    @safe @exclusivity(unchecked) private(set) var count = 0 {
        didSet { if let place { unsafe place.pointee = UInt32(truncatingIfNeeded: count) } }
    }
    /// Where the number is published; `nil`: nowhere, or a limit of concurrency publishes it.
    @safe @exclusivity(unchecked) var place: UnsafeMutablePointer<UInt32>?
    /// Called when a request was answered, or need not be.
    @safe @exclusivity(unchecked) var whenAnswered: ((RequestID?) -> Void)?
    @safe @exclusivity(unchecked) private var bodies: [RequestID: IncomingBody] = [:]
    private let link: WorkerLink
    private let pauses: ReadPauses

    init(link: WorkerLink, pauses: ReadPauses) {
        self.link = link
        self.pauses = pauses
    }

    @inline(__always) func taken() { count += 1 }

    /// A response that nobody uses any more, for another request. Responses belong to a higher layer.
    @safe @exclusivity(unchecked) private var reusableResponse: AnyObject?

    @inline(__always) func takeReusableResponse() -> AnyObject? { reusableResponse.take() }

    /// Takes the reference away from the caller, without counting.
    @inline(__always) func keep(reusableResponse: inout AnyObject?) { self.reusableResponse = reusableResponse.take() }

    /// The parts that few responses have, of one that has ended.
    @safe @exclusivity(unchecked) private var reusableExtras: AnyObject?

    @inline(__always) func takeReusableExtras() -> AnyObject? { reusableExtras.take() }

    @inline(__always) func keep(reusableExtras: AnyObject) { self.reusableExtras = reusableExtras }

    @inline(__always) func answered(_ request: RequestID) {
        if !bodies.isEmpty { cutBody(of: request) }
        count -= 1
        if whenAnswered != nil { report(request) }
    }

    @inline(never) private func cutBody(of request: RequestID) { bodies[request]?.cut() }
    @inline(never) private func report(_ request: RequestID) { whenAnswered?(request) }

    /// A handshake was accepted without a response.
    func upgraded(_ request: RequestID) { whenAnswered?(request) }

    /// Counts a request that waits for its handler as one that is not answered, up to ``release()``.
    func hold() { count += 1 }

    /// The handler of a request that has waited was called, or nobody waits for the response any more.
    func release() {
        count -= 1
        whenAnswered?(nil)
    }

    // MARK: Responses in pieces

    /// The tasks that wait for room in the output queue of a connection.
    private var rooms: [ConnectionID: WaitQueue] = [:]
    /// The responses that have no end of their own, and what ends them.
    private var streams: [Int: () -> Void] = [:]
    private var lastStream = 0
    /// While there are such responses: looks for a stop of the server, whose reactors wait for their ends.
    private var stopWatch: TimerID?
    /// Whether the whole server is stopping.
    var isServerStopping: () -> Bool = { false }
    private var isEnding = false

    /// Suspends the calling task until the output queue of the connection has drained, the time has passed or the task
    /// is cancelled.
    func waitForRoom(_ id: ConnectionID, _ timeout: Duration, _ timers: Timers) async -> WaitQueue.Wakeup {
        let room = rooms[id] ?? WaitQueue()
        rooms[id] = room
        defer { if room.isEmpty, rooms[id] === room { rooms[id] = nil } }
        return await room.wait(timeout, timers)
    }

    /// The output queue of the connection has drained.
    func drained(_ id: ConnectionID) {
        if !rooms.isEmpty { rooms.removeValue(forKey: id)?.wakeAll() }
    }

    /// Adds a response that goes on until its client leaves, and returns its number. `end` is called when the process
    /// has to end.
    func addStream(_ timers: Timers, end: @escaping () -> Void) -> Int {
        lastStream += 1
        if isEnding {
            end()
            return lastStream
        }
        streams[lastStream] = end
        if stopWatch == nil {
            let interval = OpenRequests.stopInterval
            stopWatch = timers.start(after: interval, every: interval) { [unowned self] _ in watchForStop(timers) }
        }
        return lastStream
    }

    func remove(stream: Int) { streams[stream] = nil }

    private static let stopInterval: Duration = .milliseconds(250)

    private func watchForStop(_ timers: Timers) {
        if isServerStopping() { endStreams() }
        if streams.isEmpty, let timer = stopWatch.take() { timers.clear(timer) }
    }

    /// The process has to end: so do responses that would go on.
    func endStreams() {
        isEnding = true
        let all = streams
        streams = [:]
        for end in all.values { end() }
    }

    // MARK: Bodies in pieces

    func expectBody(of request: inout Request) {
        let body = IncomingBody(of: request.id, isExpected: request.isExpected, link: link, pauses: pauses)
        request.incoming = body
        bodies[request.id] = body
    }

    /// Adds a piece. Pieces of a request that a predecessor of this process took are dropped.
    func receiveBody(of request: RequestID, _ piece: UnsafeRawBufferPointer, _ flags: UInt32) {
        let isFinal = flags & CRE_RECORD_FINAL != 0
        let body = isFinal ? bodies.removeValue(forKey: request) : bodies[request]
        unsafe body?.receive(piece, isFinal: isFinal, isBroken: flags & CRE_RECORD_CLOSE != 0)
    }

    /// Whether a body of the connection is still arriving.
    func isReceiving(_ id: ConnectionID) -> Bool { !bodies.isEmpty && bodies.keys.contains { $0.connection == id } }

    /// Ends all bodies: their missing pieces are left to the successor, which does not know the requests.
    func cutBodies() {
        for body in bodies.values { body.cut() }
    }
}
