/// How a response has ended.
public struct ResponseOutcome: Sendable, Hashable {
    /// The status that was sent; 101 for a handshake that was accepted.
    public let status: Int
    /// The size of the body, as ``Response/bytesSent``.
    public let bytesSent: Int
    /// False when the connection was closed in the middle of the body, since the handler has failed. The client may
    /// have left in any case.
    public let isComplete: Bool
}

/// A change of the body on its way to the client, such as compression.
@MainActor protocol BodyTransform: AnyObject {
    /// Called before the head is sent. Fields can be changed in `response.packed`, but no longer by `header`. `length`
    /// is that of a whole body; `nil`: it is sent in pieces. Returns false when the body should be sent as it is.
    func begin(_ response: Response, length: Int?) -> Bool

    /// Returns the bytes to send for the next ones of the body: perhaps none, and with `isLast` all that is left.
    func add(_ bytes: UnsafeRawBufferPointer, isLast: Bool) -> [UInt8]
}

/// Something that is notified of the end of responses, without a closure for each.
protocol ResponseObserver: AnyObject, Sendable {
    @MainActor func ended(_ observed: ObservedResponse, _ outcome: ResponseOutcome)
}

/// A response that has an observer.
struct ObservedResponse: Sendable {
    let observer: any ResponseObserver
    let request: Request
    /// The remote end: its connection may be gone when the response has ended.
    let remote: BinaryAddress
    /// A time, by a clock that the observer chooses.
    let start: Int64
}

/// The parts of a response that few responses have. The object is used again for another response.
@MainActor final class ResponseExtras {
    @safe @exclusivity(unchecked) var transform: (any BodyTransform)?
    /// Output of the transformation for which there was no room.
    var pending: [UInt8] = []
    @safe @exclusivity(unchecked) var trailers = PackedFields()
    /// The first one to be notified, before the hooks.
    @safe @exclusivity(unchecked) var observed: ObservedResponse?
    @safe @exclusivity(unchecked) var whenEnded: [@MainActor (ResponseOutcome) -> Void] = []
    /// The timer of the deadline.
    @safe @exclusivity(unchecked) var deadline: TimerID?
    /// The status of a late response, and the one to notify of it.
    @safe @exclusivity(unchecked) var late: (status: Int, notify: @MainActor () -> Void)?

    nonisolated init() {}

    /// Whether a whole body is not sent as it is.
    var changesBody: Bool { transform != nil || !trailers.isEmpty }

    /// Sends the last piece of a body that was sent in pieces. Returns the number of bytes.
    static func endBody(
        _ extras: ResponseExtras?, _ worker: WorkerContext, _ request: RequestID, _ body: UnsafeRawBufferPointer
    ) -> Int {
        if let extras, let transform = extras.transform {
            let output = unsafe extras.pending + transform.add(body, isLast: true)
            extras.pending = []
            unsafe output.withUnsafeBytes { unsafe send(extras, worker, request, $0) }
            return output.count
        }
        unsafe send(extras, worker, request, body)
        return body.count
    }

    private static func send(
        _ extras: ResponseExtras?, _ worker: WorkerContext, _ request: RequestID, _ body: UnsafeRawBufferPointer
    ) {
        if let trailers = extras?.trailers, !trailers.isEmpty {
            unsafe worker.link.respondBody(request, body, trailers: trailers.bytes)
        } else {
            _ = unsafe worker.link.respondBody(request, body, final: true)
        }
    }

    /// The response has ended: calls the hooks, in the order in which they were added.
    func ended(_ outcome: ResponseOutcome, _ worker: WorkerContext) {
        if let deadline { worker.timers.clear(deadline) }
        deadline = nil
        if let observed = observed.take() { observed.observer.ended(observed, outcome) }
        if whenEnded.isEmpty { return }
        let hooks = whenEnded
        whenEnded = []
        for hook in hooks { hook(outcome) }
    }

    /// Removes what belongs to the response that has ended.
    func reset() {
        if transform != nil { transform = nil }
        if !pending.isEmpty { pending = [] }
        if !trailers.isEmpty { trailers = PackedFields() }
        if late != nil { late = nil }
    }
}

extension Response {
    /// The extras, made now if there are none.
    var neededExtras: ResponseExtras {
        if let extras { return extras }
        let old = worker.requests.takeReusableExtras()
        let new = old.map { unsafe unsafeDowncast($0, to: ResponseExtras.self) } ?? ResponseExtras()
        extras = new
        return new
    }

    /// Leaves the extras of this response, which has ended, to another one, unless somebody still has them.
    func leaveExtras(_ extras: consuming ResponseExtras) {
        guard isKnownUniquelyReferenced(&extras) else { return }
        extras.reset()
        worker.requests.keep(reusableExtras: extras)
    }

    /// Has an observer notified when the response has ended, in order with the closures of ``onEnd(_:)``.
    func observe(_ observed: ObservedResponse) {
        if hasEnded {
            let outcome = ResponseOutcome(status: status, bytesSent: bytesSent, isComplete: true)
            return observed.observer.ended(observed, outcome)
        }
        let extras = neededExtras
        if extras.observed == nil, extras.whenEnded.isEmpty {
            extras.observed = observed
        } else {
            extras.whenEnded.append { observed.observer.ended(observed, $0) }
        }
    }

    /// Calls `body` when the response has ended: its last byte was handed over to be sent, or its connection was
    /// closed. Several are called in the order of their registration; at once when the response has ended before.
    ///
    /// ```swift
    /// response.onEnd { print("\(request.method) \(request.path) \($0.status) \($0.bytesSent)") }
    /// ```
    public func onEnd(_ body: @escaping @MainActor (ResponseOutcome) -> Void) {
        guard !hasEnded else { return body(ResponseOutcome(status: status, bytesSent: bytesSent, isComplete: true)) }
        neededExtras.whenEnded.append(body)
    }

    /// Adds a trailer: a field behind the body, for values that are known only when the body was sent. A response with
    /// trailers is sent in chunks. While the head was not sent, a field `Trailer` there names it; name later trailers
    /// so yourself.
    ///
    /// - Returns: ``ResponseResult/unsupported`` when the client does not announce that it takes trailers
    ///   (`TE: trailers`) or uses HTTP/1.0, ``ResponseResult/invalid`` when the field could break the response, or may
    ///   not be a trailer since it frames the message, routes it, or is needed to understand the body,
    ///   ``ResponseResult/full``, or ``ResponseResult/ended``; nothing is added then.
    @discardableResult public func trailer(_ name: String, _ value: String, for request: Request) -> ResponseResult {
        guard !hasEnded else { return .ended }
        guard request.acceptsTrailers else { return .unsupported }
        guard !Response.isForbiddenTrailer(name), PackedFields.isValid(name, value) else { return .invalid }
        guard neededExtras.trailers.append(name, value) else { return .full }
        if !isBegun { _ = packed.append("Trailer", name) }
        return .accepted
    }

    /// Fields of RFC 9110, section 6.5.1: framing, routing, modifiers of the request, authentication, and fields that
    /// say how the body is to be read.
    private static func isForbiddenTrailer(_ name: String) -> Bool {
        switch name.lowercased() {
        case "transfer-encoding", "content-length", "host", "connection", "keep-alive", "proxy-connection",
            "upgrade", "te", "trailer", "cache-control", "expect", "max-forwards", "pragma", "range", "authorization",
            "proxy-authenticate", "proxy-authorization", "www-authenticate", "set-cookie", "cookie", "age", "date",
            "expires", "location",
            "retry-after", "vary", "content-encoding", "content-type", "content-range":
            true
        default: name.lowercased().hasPrefix("if-")
        }
    }
}

extension Request {
    /// Whether the client takes trailers: it sends `TE: trailers`, and does not use HTTP/1.0.
    public var acceptsTrailers: Bool {
        guard version != .http10 else { return false }
        return header.all("te").contains { value in
            value.split(separator: ",").contains { element in
                element.lowercased().trimmed.split(separator: ";").first.map { $0.trimmed } == "trailers"
            }
        }
    }
}

extension StringProtocol {
    /// The text without spaces and tabs at its ends.
    var trimmed: String {
        let start = drop { $0 == " " || $0 == "\t" }
        return String(start.reversed().drop { $0 == " " || $0 == "\t" }.reversed())
    }
}
