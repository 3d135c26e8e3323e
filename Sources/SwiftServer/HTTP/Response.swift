internal import CReactor

/// The answer to one request. Exactly one is sent: by ``end(_:)-(String)``, or, when every reference to the object is
/// gone without it, an empty one.
///
/// Use it from the handler, or keep it and answer later.
@MainActor public final class Response {
    private let id: ConnectionID
    private let runtime: WorkerRuntime
    private var fields: [UInt8] = []
    private var flags: UInt16 = 0
    private var status: UInt16 = 200
    private var isEnded = false

    init(id: ConnectionID, runtime: WorkerRuntime) {
        self.id = id
        self.runtime = runtime
        runtime.requestTaken()
    }

    deinit {
        guard !isEnded else { return }
        // Whoever let go of it may be on any thread.
        let (runtime, id, status, flags, fields) = (runtime, id, status, flags, fields)
        let respond: @Sendable () -> Void = {
            unsafe runtime.respond(
                id, status: status, flags: flags, fields: fields, body: UnsafeRawBufferPointer(start: nil, count: 0))
            runtime.requestAnswered()
        }
        if runtime.isHere { respond() } else { runtime.loop.post(respond) }
    }

    /// Sets the status, 200...999; 200 if it is never called. False when the number is out of range or the response has
    /// ended.
    @discardableResult public func status(_ code: Int) -> Bool {
        guard (200...999).contains(code), !isEnded else { return false }
        status = UInt16(code)
        return true
    }

    /// Adds a header field. False, and nothing is added, when the name or the value has characters that could break
    /// the response, or the response has ended. `Date` may be given; `Content-Length`, `Transfer-Encoding` and
    /// `Connection` are the server's business and are ignored.
    @discardableResult public func header(_ name: String, _ value: String) -> Bool {
        guard !isEnded, Response.isValid(name, value) else { return false }
        switch name.lowercased() {
        case "content-length", "transfer-encoding", "connection": return true
        case "date": flags |= UInt16(CRE_RESPONSE_HAS_DATE)
        default: break
        }
        guard fields.count + name.utf8.count + value.utf8.count + 4 <= CRE_HTTP_MAX_HEAD else { return false }
        fields += name.utf8
        fields += [UInt8(ascii: ":"), UInt8(ascii: " ")]
        fields += value.utf8
        fields += [UInt8(ascii: "\r"), UInt8(ascii: "\n")]
        return true
    }

    private static func isValid(_ name: String, _ value: String) -> Bool {
        var name = name
        var value = value
        return name.withUTF8 { name in
            value.withUTF8 { value in
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
        }
    }

    /// Sends the response with this text as its body. False when it was sent before.
    @discardableResult public func end(_ body: String = "") -> Bool {
        var body = body
        return body.withUTF8 { unsafe finish(UnsafeRawBufferPointer($0)) }
    }

    /// Sends the response with these bytes as its body. False when it was sent before.
    @discardableResult public func end(_ body: [UInt8]) -> Bool {
        unsafe body.withUnsafeBytes { unsafe finish($0) }
    }

    private func finish(_ body: UnsafeRawBufferPointer) -> Bool {
        guard !isEnded else { return false }
        isEnded = true
        unsafe runtime.respond(id, status: status, flags: flags, fields: fields, body: body)
        runtime.requestAnswered()
        return true
    }
}
