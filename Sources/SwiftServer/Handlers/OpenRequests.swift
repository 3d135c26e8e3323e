internal import CReactor

/// The requests that were taken and not answered yet, and the bodies that are still arriving.
@safe final class OpenRequests: @unchecked Sendable {
    // `@unchecked`: everything here happens on the loop's thread.
    private(set) var count = 0
    /// Called when a request was answered.
    var whenAnswered: (() -> Void)?
    private var bodies: [RequestID: IncomingBody] = [:]
    private let link: WorkerLink
    private let pauses: ReadPauses

    init(link: WorkerLink, pauses: ReadPauses) {
        self.link = link
        self.pauses = pauses
    }

    func taken() { count += 1 }

    func answered(_ request: RequestID) {
        if !bodies.isEmpty { bodies[request]?.cut() }
        count -= 1
        whenAnswered?()
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

    /// Ends all bodies: their missing pieces are left to the successor, which does not know the requests.
    func cutBodies() {
        for body in bodies.values { body.cut() }
    }
}
