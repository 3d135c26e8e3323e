internal import CReactor

/// The response to one request. Exactly one is sent, by ``end(_:)-(String)``. A body may also be sent piece by piece
/// with ``write(_:)-(String)->ResponseResult``, or from a file with ``sendFile(_:offset:length:)``.
///
/// When the last reference to the object is released before that, the server answers: with the status that was set and
/// an empty body, or if none was set, because a handler has forgotten to respond, with status 500 and a line in the
/// log.
///
/// Use it in the handler, or keep it and respond later.
@MainActor public final class Response {
    @safe @exclusivity(unchecked) private(set) var request: RequestID
    let worker: WorkerContext
    /// The header fields that were added.
    @safe @exclusivity(unchecked) var packed: PackedFields
    @safe @exclusivity(unchecked) private var code: UInt16 = 200
    /// Whether a handler has set the status.
    @safe @exclusivity(unchecked) private var hasStatus = false
    @safe @exclusivity(unchecked) private var isEnded = false
    /// Whether the head was sent and the body has not ended.
    @safe @exclusivity(unchecked) private var isStreaming = false
    /// The size of the body as far as it was sent, in bytes; of a file the length of the part that
    /// ``sendFile(_:offset:length:)`` was called for, as the file was then. A transformation, such as compression,
    /// counts with its output.
    @safe @exclusivity(unchecked) public private(set) var bytesSent = 0
    /// What few responses have: hooks, trailers, a transformation, a deadline.
    @safe @exclusivity(unchecked) var extras: ResponseExtras?

    /// The fields in packed form.
    var fields: [UInt8] { packed.bytes }
    /// The status: 200 unless ``status(_:)`` has set another one.
    public var status: Int { Int(code) }
    /// Whether the head was sent: status and fields cannot be changed any more.
    public var isBegun: Bool { isEnded || isStreaming }
    /// The status, when the head was sent.
    package var sentStatus: Int? { isBegun ? status : nil }
    /// Whether the response is complete, or its connection was closed instead.
    public var hasEnded: Bool { isEnded }

    init(to request: RequestID, worker: WorkerContext) {
        self.request = request
        self.worker = worker
        packed = PackedFields()
        begin()
    }

    @inline(__always) private func begin() {
        worker.openRequests.with { $0.taken() }
        if worker.requestTimeout != nil { beginTimeout() }
    }

    @inline(never) private func beginTimeout() {
        if let timeout = worker.requestTimeout { limit(to: timeout) }
    }

    // MARK: Reuse

    /// The response to a request, which is compressed where the settings say so: one that ``leave(_:)`` has kept, or a
    /// new one.
    static func take(for request: Request, worker: WorkerContext) -> Response {
        let response = takeReusable(for: request.id, worker) ?? Response(to: request.id, worker: worker)
        if let compression = worker.compression { response.compress(compression, request) }
        return response
    }

    @inline(__always)
    private static func takeReusable(for request: RequestID, _ worker: WorkerContext) -> Response? {
        guard let kept = worker.openRequests.with({ $0.takeReusableResponse() }) else { return nil }
        let response = unsafe unsafeDowncast(consume kept, to: Response.self)
        response.begin(for: request)
        return response
    }

    @inline(__always) private func begin(for request: RequestID) {
        self.request = request
        packed.removeAll()
        code = 200
        hasStatus = false
        isEnded = false
        isStreaming = false
        bytesSent = 0
        begin()
    }

    /// Gives up a response whose handler was called. One that has ended, and that nobody else refers to, serves another
    /// request, which costs less than a new one. Weak and unowned references count, too: they must not lead to the
    /// response of another client.
    static func leave(_ response: consuming Response) {
        guard response.isEnded, isKnownUniquelyReferenced(&response), response.worker.isOpen,
            _getWeakRetainCount(response) == 1, _getUnownedRetainCount(response) == 1
        else { return }
        let requests = response.worker.openRequests
        var kept: AnyObject? = consume response
        requests.with { $0.keep(reusableResponse: &kept) }
    }

    deinit {
        if isEnded { return }
        // The last reference may be released on any thread.
        let (worker, request, fields, extras) = (worker, request, packed.bytes, extras)
        let (isStreaming, bytesSent) = (isStreaming, bytesSent)
        let code = isStreaming ? code : hasStatus ? code : 0
        let respond: @Sendable () -> Void = {
            guard worker.isOpen else { return }
            MainActor.assumeIsolated {
                Response.abandoned(worker, request, code, fields, extras, isStreaming: isStreaming, bytesSent)
            }
        }
        if worker.isHere { respond() } else { worker.loop.post(respond) }
    }

    /// The last reference was released before the response has ended: completes it. `code` is 0 when no status was set.
    private static func abandoned(
        _ worker: WorkerContext, _ request: RequestID, _ code: UInt16, _ fields: [UInt8], _ extras: ResponseExtras?,
        isStreaming: Bool, _ bytesSent: Int
    ) {
        let empty = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        var (code, bytesSent) = (code, bytesSent)
        if code == 0 {
            code = 500
            if worker.bus.exists(request.connection) {
                Log.error("\(worker.name): a handler has released its response without responding")
            }
        }
        if isStreaming {
            bytesSent += unsafe ResponseExtras.endBody(extras, worker, request, empty)
        } else {
            unsafe worker.link.respond(request, status: code, fields: fields, body: empty)
        }
        worker.requests.answered(request)
        extras?.ended(ResponseOutcome(status: Int(code), bytesSent: bytesSent, isComplete: true), worker)
    }

    /// Why status and fields cannot be changed any more.
    private var lateChange: ResponseResult { isEnded ? .ended : .begun }

    /// Sets the status, 200...999; default: 200.
    ///
    /// - Returns: ``ResponseResult/invalid`` for a number out of range, ``ResponseResult/begun``, or
    ///   ``ResponseResult/ended``; the status stays as it is then.
    @discardableResult public func status(_ code: Int) -> ResponseResult {
        guard !isEnded, !isStreaming else { return lateChange }
        guard (200...999).contains(code) else { return .invalid }
        self.code = UInt16(code)
        hasStatus = true
        return .accepted
    }

    /// Adds a header field. `Date` may be set; `Content-Length`, `Transfer-Encoding` and `Connection` are set by the
    /// server and ignored here. ``headers`` replaces and removes fields.
    ///
    /// - Returns: ``ResponseResult/invalid`` when the name or the value has characters that could break the response,
    ///   ``ResponseResult/full`` when the fields have no room for it, ``ResponseResult/begun``, or
    ///   ``ResponseResult/ended``; nothing is added then.
    @discardableResult public func header(_ name: String, _ value: String) -> ResponseResult {
        guard !isEnded, !isStreaming else { return lateChange }
        return packed.append(name, value) ? .accepted : PackedFields.isValid(name, value) ? .full : .invalid
    }

    /// Sends the next piece of the body. The first one also sends status and fields; the number of pieces need not be
    /// known: HTTP/1.1 clients get chunks, HTTP/1.0 clients a connection that is closed after the body.
    /// ``end(_:)-(String)`` completes the body.
    ///
    /// An empty piece sends nothing. In an asynchronous handler use `try await response.write(_:)`, which waits for
    /// room.
    ///
    /// - Returns: ``ResponseResult/full`` when the output queue of a slow client has no room for the piece: try again
    ///   after `onDrain`. ``ResponseResult/ended`` or ``ResponseResult/closed`` when nothing can be sent any more.
    public func write(_ text: String) -> ResponseResult {
        unsafe text.withBytes { unsafe writePiece($0, isText: true) }
    }

    /// Sends the next piece of the body, as ``write(_:)-(String)->ResponseResult``.
    public func write(_ bytes: [UInt8]) -> ResponseResult {
        unsafe bytes.withUnsafeBytes { unsafe writePiece($0, isText: false) }
    }

    func writePiece(_ bytes: UnsafeRawBufferPointer, isText: Bool) -> ResponseResult {
        guard !isEnded else { return .ended }
        guard worker.isOpen else { return .closed }
        if unsafe bytes.isEmpty { return .accepted }
        let isSent =
            if let transform = extras?.transform {
                unsafe writeTransformed(bytes, isText, transform)
            } else {
                unsafe sendPiece(bytes, isText)
            }
        return isSent ? .accepted : worker.bus.exists(request.connection) ? .full : .closed
    }

    private func sendPiece(_ bytes: UnsafeRawBufferPointer, _ isText: Bool) -> Bool {
        if isStreaming {
            guard unsafe worker.link.respondBody(request, bytes, final: false) else { return false }
        } else {
            isStreaming = unsafe worker.link.respond(
                request, status: code, fields: packed.bytes, body: bytes, isText: isText, more: true)
            guard isStreaming else { return false }
        }
        bytesSent += bytes.count
        return true
    }

    /// Sends a piece through a transformation, which may keep some of it back. Output for which there is no room is
    /// kept until the next call, which is refused while that lasts.
    private func writeTransformed(
        _ bytes: UnsafeRawBufferPointer, _ isText: Bool, _ transform: any BodyTransform
    ) -> Bool {
        if !isStreaming {
            prepareHead(isText)
            if !transform.begin(self, length: nil) { extras?.transform = nil }
            let empty = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
            isStreaming = unsafe worker.link.respond(
                request, status: code, fields: packed.bytes, body: empty, more: true)
            guard isStreaming else { return false }
            if extras?.transform == nil { return unsafe sendPiece(bytes, isText) }
        }
        if let pending = extras?.pending, !pending.isEmpty {
            guard unsafe pending.withUnsafeBytes({ unsafe sendPiece($0, isText) }) else { return false }
            extras?.pending = []
        }
        let output = unsafe transform.add(bytes, isLast: false)
        if !output.isEmpty, unsafe !output.withUnsafeBytes({ unsafe sendPiece($0, isText) }) {
            guard worker.bus.exists(request.connection) else { return false }
            extras?.pending = output
        }
        return true
    }

    /// Sends the response with a regular file, or a part of it, as its body, and ends it. `Content-Type` is not set.
    /// The process that owns the connection opens and sends the file, at the pace of the client; the file must not
    /// shrink meanwhile. The path is resolved there, so it should be absolute. Never pass a path from a request
    /// unchecked.
    ///
    /// When the file cannot be sent, the client gets an error page with status 404 or 500 instead, which is then the
    /// ``status``, also for ``onEnd(_:)``; the page does not count as ``bytesSent``.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - offset: the start of the part; at most the file's size.
    ///   - length: the length of the part, cut at the end of the file. `nil`: up to the end.
    /// - Returns: ``ResponseResult/invalid`` when path, offset or length cannot be those of a file,
    ///   ``ResponseResult/begun``, ``ResponseResult/ended`` or ``ResponseResult/closed``; nothing is sent then.
    @discardableResult public func sendFile(_ path: String, offset: Int = 0, length: Int? = nil) -> ResponseResult {
        guard !isEnded, !isStreaming else { return lateChange }
        guard worker.isOpen else { return .closed }
        guard offset >= 0, length ?? 0 >= 0, !path.isEmpty, !path.utf8.contains(0),
            path.utf8.count <= Int(CRE_MAX_PATH)
        else { return .invalid }
        isEnded = true
        let part =
            worker.link.owns(request.connection)
            ? FilePart(opening: path, from: offset, atMost: length)
            : FilePart(at: path, from: offset, atMost: length, checksRights: extras != nil)
        bytesSent = part.length
        worker.link.respondFile(
            request, status: code, fields: packed.bytes, path: path, offset: UInt64(offset),
            length: part.descriptor >= 0 ? UInt64(part.length) : length.map { UInt64($0) } ?? UInt64.max,
            descriptor: part.descriptor)
        if let refusal = part.refusal { code = refusal }
        answered(isComplete: true)
        return .accepted
    }

    /// Sends the response with a file beneath a folder, or parts of it, as its body, and ends it.
    func send(_ file: FolderFile) {
        guard !isEnded, !isStreaming, worker.isOpen else { return }
        isEnded = true
        bytesSent = Int(clamping: file.length)
        worker.link.respondFolderFile(
            request, status: code, fields: packed.bytes, file.description, descriptor: file.open?.take() ?? -1)
        answered(isComplete: true)
    }

    /// Sends the response with this text as its body, or after ``write(_:)-(String)->ResponseResult`` as the last piece
    /// of it. Without a `Content-Type` a text has the type "text/plain; charset=utf-8".
    ///
    /// - Returns: ``ResponseResult/ended`` when the response was sent before, ``ResponseResult/closed`` when the client
    ///   has left, ``ResponseResult/full`` when the body is too large for the output queue: the client gets status 500
    ///   then, and the log a line.
    @discardableResult public func end(_ body: String = "") -> ResponseResult {
        unsafe body.withBytes { unsafe finish($0, isText: true) }
    }

    /// Sends the response with these bytes as its body, or after ``write(_:)-(String)->ResponseResult`` as the last
    /// piece of it. They have no `Content-Type` by default. The results are those of ``end(_:)-(String)``.
    @discardableResult public func end(_ body: [UInt8]) -> ResponseResult {
        unsafe body.withUnsafeBytes { unsafe finish($0, isText: false) }
    }

    private func finish(_ body: UnsafeRawBufferPointer, isText: Bool) -> ResponseResult {
        guard !isEnded else { return .ended }
        guard worker.isOpen else { return .closed }
        isEnded = true
        if isStreaming {
            bytesSent += unsafe ResponseExtras.endBody(extras, worker, request, body)
        } else if let extras, extras.changesBody {
            return unsafe finishWhole(body, isText)
        } else {
            let result = unsafe sendWhole(body, isText)
            answered(isComplete: true)
            return result
        }
        answered(isComplete: true)
        return .accepted
    }

    private func sendWhole(_ body: UnsafeRawBufferPointer, _ isText: Bool) -> ResponseResult {
        bytesSent = body.count
        let isTyped = unsafe isText && !body.isEmpty
        let (link, request, code) = (worker.link, request, code)
        let isSent = unsafe packed.withBytes {
            unsafe link.respond(request, status: code, fields: $0, body: body, isText: isTyped)
        }
        if isSent {
            return .accepted
        }
        // The client has left, which is normal; or the response is too large to be queued.
        guard worker.bus.exists(request.connection) else { return .closed }
        Log.error("a response of \(body.count) bytes could not be sent; use write() or sendFile() for large ones")
        worker.link.refuse(request)
        return .full
    }

    /// A whole body of a response that has a transformation or trailers.
    @inline(never) private func finishWhole(_ body: UnsafeRawBufferPointer, _ isText: Bool) -> ResponseResult {
        unsafe prepareHead(isText && !body.isEmpty)
        var output: [UInt8]?
        if let transform = extras?.transform, unsafe !body.isEmpty, transform.begin(self, length: body.count) {
            output = unsafe transform.add(body, isLast: true)
        }
        let result =
            if let output {
                unsafe output.withUnsafeBytes { unsafe sendWholeWithTrailers($0, isText) }
            } else {
                unsafe sendWholeWithTrailers(body, isText)
            }
        answered(isComplete: true)
        return result
    }

    private func sendWholeWithTrailers(_ body: UnsafeRawBufferPointer, _ isText: Bool) -> ResponseResult {
        guard let trailers = extras?.trailers, !trailers.isEmpty else { return unsafe sendWhole(body, isText) }
        bytesSent = body.count
        let empty = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
        _ = unsafe worker.link.respond(request, status: code, fields: packed.bytes, body: empty, more: true)
        unsafe worker.link.respondBody(request, body, trailers: trailers.bytes)
        return .accepted
    }

    /// Makes the default type of a text a field, so that a transformation sees it.
    private func prepareHead(_ isText: Bool) {
        if isText, code != 204, code != 304, packed.first("Content-Type") == nil {
            _ = packed.append("Content-Type", "text/plain; charset=utf-8")
        }
    }

    @inline(__always) private func answered(isComplete: Bool) {
        worker.openRequests.with { $0.answered(request) }
        if extras != nil { endExtras(isComplete: isComplete) }
    }

    @inline(never) private func endExtras(isComplete: Bool) {
        guard let extras = extras.take() else { return }
        extras.ended(ResponseOutcome(status: Int(code), bytesSent: bytesSent, isComplete: isComplete), worker)
        leaveExtras(consume extras)
    }

    /// The request was answered by other means: with an upgrade.
    func handOver() {
        isEnded = true
        code = 101
        answered(isComplete: true)
    }

    /// No handler will continue the response: sends status 500 when it has not begun. One that has begun is completed,
    /// or with `failed` cut off by the end of its connection, so that the client does not take it for complete.
    func conclude(failed: Bool) {
        guard !isEnded else { return }
        if isStreaming, failed {
            isEnded = true
            _ = worker.close(request.connection, code: 1011, reason: "")
            answered(isComplete: false)
            return
        }
        if !isStreaming {
            if !failed { Log.error("\(worker.name): a handler has returned without a response") }
            status(500)
            return endWithReason()
        }
        end()
    }
}
