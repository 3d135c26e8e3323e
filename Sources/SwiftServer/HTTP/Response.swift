internal import CReactor

/// The response to one request. Exactly one is sent: by ``end(_:)-(String)``, or an empty one when the last reference
/// to the object is released. A body may also be sent piece by piece with ``write(_:)-(String)``, or from a file with
/// ``sendFile(_:offset:length:)``.
///
/// Use it in the handler, or keep it and respond later.
@MainActor public final class Response {
    private let request: RequestID
    private let worker: WorkerContext
    /// Packed name and value pairs: `cre_http_fields_put`.
    private(set) var fields: [UInt8] = []
    private var status: UInt16 = 200
    private var isEnded = false
    /// Whether the head was sent and the body has not ended.
    private var isStreaming = false

    /// Whether the head was sent.
    var isBegun: Bool { isEnded || isStreaming }
    /// The status, when the head was sent.
    package var sentStatus: Int? { isBegun ? Int(status) : nil }

    init(to request: RequestID, worker: WorkerContext) {
        self.request = request
        self.worker = worker
        worker.requests.taken()
    }

    deinit {
        guard !isEnded else { return }
        // The last reference may be released on any thread.
        let (worker, request, status, fields) = (worker, request, status, fields)
        let isStreaming = isStreaming
        let respond: @Sendable () -> Void = {
            guard worker.isOpen else { return }
            let empty = unsafe UnsafeRawBufferPointer(start: nil, count: 0)
            if isStreaming {
                _ = unsafe worker.link.respondBody(request, empty, final: true)
            } else {
                unsafe worker.link.respond(request, status: status, fields: fields, body: empty)
            }
            worker.requests.answered(request)
        }
        if worker.isHere { respond() } else { worker.loop.post(respond) }
    }

    /// Sets the status, 200...999; default: 200. Returns false when the number is out of range, or the response has
    /// begun or ended.
    @discardableResult public func status(_ code: Int) -> Bool {
        guard (200...999).contains(code), !isEnded, !isStreaming else { return false }
        status = UInt16(code)
        return true
    }

    /// Adds a header field. Returns false, and adds nothing, when the name or the value has characters that could break
    /// the response, or the response has begun or ended. `Date` may be set; `Content-Length`, `Transfer-Encoding` and
    /// `Connection` are set by the server and ignored here.
    @discardableResult public func header(_ name: String, _ value: String) -> Bool {
        guard !isEnded, !isStreaming else { return false }
        var (name, value) = (name, value)
        return name.withUTF8 { name in value.withUTF8 { value in unsafe append(name, value) } }
    }

    /// Appends a field in packed form. Returns false, and appends nothing, if it must not be sent or does not fit.
    private func append(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
        let size = name.count + value.count + Int(CRE_HTTP_FIELD_OVERHEAD)
        guard fields.count + size <= CRE_HTTP_MAX_HEAD, unsafe Response.isValid(name, value) else { return false }
        fields.reserveCapacity(fields.count + size)
        let lengths = (UInt16(name.count), UInt16(value.count))
        unsafe withUnsafeBytes(of: lengths) { unsafe fields.append(contentsOf: $0) }
        unsafe fields.append(contentsOf: name)
        unsafe fields.append(contentsOf: value)
        return true
    }

    private static func isValid(_ name: UnsafeBufferPointer<UInt8>, _ value: UnsafeBufferPointer<UInt8>) -> Bool {
        unsafe name.withMemoryRebound(to: CChar.self) { name in
            unsafe value.withMemoryRebound(to: CChar.self) { value in
                // An empty string may have no address; an empty name is refused before it is looked at.
                guard let start = name.baseAddress else { return false }
                var field = unsafe cre_http_header(
                    name: start, value: value.baseAddress ?? start, name_length: UInt32(name.count),
                    value_length: UInt32(value.count))
                return unsafe cre_http_header_valid(&field)
            }
        }
    }

    /// Sends the next piece of the body. The first one also sends status and fields; the number of pieces need not be
    /// known: HTTP/1.1 clients get chunks, HTTP/1.0 clients a connection that is closed after the body.
    /// ``end(_:)-(String)`` completes the body.
    ///
    /// Returns false, and sends nothing, for an empty piece, when the response has ended, when the client is gone, and
    /// when the output queue of a slow client is full: try again later.
    public func write(_ text: String) -> Bool {
        var text = text
        return text.withUTF8 { unsafe writePiece(UnsafeRawBufferPointer($0)) }
    }

    /// Sends the next piece of the body, as ``write(_:)-(String)``.
    public func write(_ bytes: [UInt8]) -> Bool {
        unsafe bytes.withUnsafeBytes { unsafe writePiece($0) }
    }

    private func writePiece(_ bytes: UnsafeRawBufferPointer) -> Bool {
        guard !isEnded, worker.isOpen, unsafe !bytes.isEmpty else { return false }
        if isStreaming { return unsafe worker.link.respondBody(request, bytes, final: false) }
        isStreaming = unsafe worker.link.respond(
            request, status: status, fields: fields, body: bytes, more: true)
        return isStreaming
    }

    /// Sends the response with a regular file, or a part of it, as its body, and ends it. `Content-Type` is not set.
    /// The process that owns the connection opens and sends the file, at the pace of the client; the file must not
    /// shrink meanwhile. The path is resolved there, so it should be absolute. Never pass a path from a request
    /// unchecked.
    ///
    /// Returns false, and sends nothing, when the response has begun or ended, or path, offset or length are invalid.
    /// When the file cannot be sent, the client gets an error page with status 404 or 500 instead.
    ///
    /// - Parameters:
    ///   - path: the file.
    ///   - offset: the start of the part; at most the file's size.
    ///   - length: the length of the part, cut at the end of the file. `nil`: up to the end.
    @discardableResult public func sendFile(_ path: String, offset: Int = 0, length: Int? = nil) -> Bool {
        guard !isEnded, !isStreaming, worker.isOpen, offset >= 0, length ?? 0 >= 0, !path.isEmpty,
            !path.utf8.contains(0),
            path.utf8.count <= Int(CRE_MAX_PATH)
        else { return false }
        isEnded = true
        worker.link.respondFile(
            request, status: status, fields: fields, path: path, offset: UInt64(offset),
            length: length.map { UInt64($0) } ?? UInt64.max)
        worker.requests.answered(request)
        return true
    }

    /// Sends the response with this text as its body, or after ``write(_:)-(String)`` as the last piece of it. False
    /// when it was sent before.
    @discardableResult public func end(_ body: String = "") -> Bool {
        var body = body
        return body.withUTF8 { unsafe finish(UnsafeRawBufferPointer($0)) }
    }

    /// Sends the response with these bytes as its body, or after ``write(_:)-(String)`` as the last piece of it. False
    /// when it was sent before.
    @discardableResult public func end(_ body: [UInt8]) -> Bool {
        unsafe body.withUnsafeBytes { unsafe finish($0) }
    }

    private func finish(_ body: UnsafeRawBufferPointer) -> Bool {
        guard !isEnded, worker.isOpen else { return false }
        isEnded = true
        if isStreaming {
            _ = unsafe worker.link.respondBody(request, body, final: true)
        } else if unsafe !worker.link.respond(request, status: status, fields: fields, body: body) {
            // The client has left, which is normal; or the response is too large to be queued.
            if worker.bus.exists(request.connection) {
                Log.error(
                    "a response of \(body.count) bytes could not be sent; use write() or sendFile() for large ones")
                worker.link.refuse(request)
            }
        }
        worker.requests.answered(request)
        return true
    }

    /// The request was answered by other means: with an upgrade.
    func handOver() {
        isEnded = true
        worker.requests.answered(request)
    }

    /// No handler will continue the response: sends status 500 when it has not begun. One that has begun is completed,
    /// or with `failed` cut off by the end of its connection, so that the client does not take it for complete.
    func conclude(failed: Bool) {
        guard !isEnded else { return }
        if isStreaming, failed {
            isEnded = true
            _ = worker.close(request.connection, code: 1011, reason: "")
            worker.requests.answered(request)
            return
        }
        if !isStreaming {
            if !failed { Log.error("\(worker.name): a handler has returned without a response") }
            status(500)
        }
        end()
    }
}
