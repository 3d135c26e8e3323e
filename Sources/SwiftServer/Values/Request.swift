internal import CReactor

/// An HTTP request, or the handshake of a WebSocket. The server has parsed it once; properties look up its parts.
///
/// Printing it gives the request line; `dump` gives its parts.
public struct Request: Sendable {
    /// The connection of the request.
    public let fd: ConnectionID
    /// Head, field table, the head's bytes and the body, in the form of the C core: the first `length` bytes.
    private let storage: [UInt8]
    private let length: UInt32
    /// The number by which its response refers to it.
    let number: UInt8
    /// The time of the loop at which it was received, in milliseconds, modulo 2^32.
    let receivedAt: UInt32

    /// The route that serves the request.
    var route: RouteReference?

    /// What belongs to the request beside its bytes; most requests have nothing.
    var attachments: RequestAttachments?

    var id: RequestID { RequestID(connection: fd, number: number) }

    /// `receivedAt`: ``EventLoop/milliseconds``.
    init?(fd: ConnectionID, number: UInt8 = 0, receivedAt: UInt32, payload: UnsafeRawBufferPointer) {
        self.fd = fd
        self.number = number
        self.receivedAt = receivedAt
        storage = unsafe [UInt8](payload)
        length = UInt32(payload.count)
        guard isWhole else { return nil }
    }

    /// Uses the memory of an earlier request again, unless somebody has kept that.
    init?(
        fd: ConnectionID, number: UInt8, receivedAt: UInt32, payload: UnsafeRawBufferPointer,
        reusing memory: inout RequestMemory
    ) {
        self.fd = fd
        self.number = number
        self.receivedAt = receivedAt
        storage = unsafe memory.copy(payload)
        length = UInt32(payload.count)
        guard isWhole else { return nil }
    }

    /// "GET", "POST" and so on, as sent.
    public var method: String {
        unsafe withView { unsafe $0.ascii(at: $0.head.pointee.method_start, $0.head.pointee.method_length) }
    }
    /// The target as sent: path and query.
    public var target: String {
        unsafe withView { unsafe $0.ascii(at: $0.head.pointee.target, $0.head.pointee.target_length) }
    }
    /// The path as sent, not decoded.
    public var path: String {
        unsafe withView { unsafe $0.ascii(at: $0.head.pointee.path, $0.head.pointee.path_length) }
    }
    /// The part behind the `?`, not decoded; `nil` when there is none.
    public var queryString: String? {
        unsafe withView {
            let head = unsafe $0.head.pointee
            guard Int(head.flags) & CRE_HTTP_HAS_QUERY != 0 else { return nil }
            return unsafe $0.ascii(at: head.query, head.query_length)
        }
    }
    /// The host that the request names, whoever has sent it.
    var sentHost: String {
        unsafe withView { unsafe $0.text(at: $0.head.pointee.host, $0.head.pointee.host_length) }
    }

    /// Whether the connection uses TLS.
    public var isSecure: Bool { unsafe withView { unsafe Int($0.head.pointee.flags) & CRE_HTTP_SECURE != 0 } }

    /// The certificate that the client has presented; `nil`: none. Each call reads it again.
    ///
    /// This includes requests and WebSockets over HTTP/2, and of a WebSocket that another worker takes over.
    public var clientCertificate: ClientCertificate? {
        unsafe withView { view in
            let bytes = unsafe UnsafeBufferPointer(start: view.certificate, count: Int(view.certificate_length))
            return unsafe bytes.isEmpty ? nil : ClientCertificate([UInt8](bytes))
        }
    }

    /// The decoded arguments behind the `?`.
    public var query: Query { Query(text: queryString ?? "") }
    /// The decoded values of a form, if the body has the type `application/x-www-form-urlencoded` and arrived whole;
    /// else an empty one. See ``form(upTo:)`` for a body that arrives in pieces, and ``parts(limits:)`` for uploads.
    public var form: Query { isForm ? Query(text: String(decoding: body, as: UTF8.self)) : Query(text: "") }
    /// The header fields.
    public var header: Fields { Fields(request: self) }
    /// The cookies, as sent: `request.cookies["session"]`.
    public var cookies: Cookies { Cookies(request: self) }
    /// The body; empty when there is none, and when it arrives in pieces (``Settings/streamRequestBodies``).
    public var body: [UInt8] {
        unsafe withView { unsafe [UInt8](UnsafeBufferPointer(start: $0.body, count: Int($0.body_length))) }
    }

    /// The body as it arrives, if it arrives in pieces (``Settings/streamRequestBodies``); else all of ``body`` at
    /// once.
    ///
    /// The rest of the body is dropped when the response ends. A client that expects "100 Continue" gets it when the
    /// first piece is requested.
    public var bodyPieces: RequestBody {
        RequestBody(source: incoming.map { .incoming($0) } ?? .whole(body))
    }

    /// Whether this is the handshake of a WebSocket.
    public var isHandshake: Bool {
        unsafe withView { unsafe Int($0.head.pointee.flags) & CRE_HTTP_UPGRADE_WEBSOCKET != 0 }
    }
    /// The subprotocols that a handshake offers, in the client's order of preference.
    public var subprotocols: [String] {
        header.all("sec-websocket-protocol").flatMap { $0.split(separator: ",") }.map { name in
            String(name.drop { $0 == " " || $0 == "\t" }.prefix { $0 != " " && $0 != "\t" })
        }
    }

    /// Whether the client expects "100 Continue" before it sends the body.
    var isExpected: Bool { unsafe withView { unsafe Int($0.head.pointee.flags) & CRE_HTTP_EXPECT_CONTINUE != 0 } }

    /// Whether all parts are where the head says. The copy is checked: another process may write to what was received.
    private var isWhole: Bool {
        var view = unsafe cre_request_view()
        return unsafe storage.withUnsafeBufferPointer {
            unsafe cre_request_view_init(&view, $0.baseAddress, length) == 0 && cre_request_view_is_whole(&view)
        }
    }

    func withView<Result>(_ body: (cre_request_view) -> Result) -> Result {
        var view = unsafe cre_request_view()
        return unsafe storage.withUnsafeBufferPointer {
            // Checked in init.
            _ = unsafe cre_request_view_init(&view, $0.baseAddress, length)
            return unsafe body(view)
        }
    }
}

/// A ``Request`` that does not retain what it refers to, as a ``LentFrame``.
@safe struct LentRequest {
    private let fd: ConnectionID
    private let storage: UInt
    private let length: UInt32
    private let number: UInt8
    private let receivedAt: UInt32
    private let route: RouteReference?
    private let attachments: UInt

    /// The caller keeps the request.
    @inline(__always) init(_ request: borrowing Request) {
        self = unsafe unsafeBitCast(copy request, to: LentRequest.self)
    }
}

extension cre_request_view {
    /// Text of a method or target. The C core refuses all with other bytes than ASCII ones, so none is checked here;
    /// what another process may overwrite is copied as it is, each byte as one character.
    fileprivate func ascii(at offset: UInt16, _ length: UInt16) -> String {
        let text = unsafe UnsafeBufferPointer(start: bytes + Int(offset), count: Int(length))
        return unsafe String(copying: UTF8Span(unchecked: text.span, isKnownASCII: true))
    }

    func text(at offset: UInt16, _ length: UInt16) -> String {
        unsafe String(decoding: UnsafeBufferPointer(start: bytes + Int(offset), count: Int(length)), as: UTF8.self)
    }
}
