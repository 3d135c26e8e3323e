internal import CReactor

/// An HTTP request, or the handshake of a WebSocket. The server has parsed it once; properties look up its parts.
///
/// Printing it gives the request line; `dump` gives its parts.
public struct Request: Sendable {
    /// The connection of the request.
    public let fd: ConnectionID
    /// Head, field table, the head's bytes and the body, in the form of the C core.
    let storage: [UInt8]
    /// The number by which its response refers to it.
    let number: UInt8
    /// The time of the loop at which it was received, in milliseconds, modulo 2^32.
    let receivedAt: UInt32

    /// The route that serves the request.
    var route: RouteReference?

    /// The source of a body that arrives in pieces.
    var incoming: (any BodyReader)?

    var id: RequestID { RequestID(connection: fd, number: number) }

    /// `receivedAt`: ``EventLoop/milliseconds``.
    init?(fd: ConnectionID, number: UInt8 = 0, receivedAt: UInt32, payload: UnsafeRawBufferPointer) {
        self.fd = fd
        self.number = number
        self.receivedAt = receivedAt
        storage = unsafe [UInt8](payload)
        var view = unsafe cre_request_view()
        let result = unsafe storage.withUnsafeBufferPointer {
            unsafe cre_request_view_init(&view, $0.baseAddress, UInt32($0.count))
        }
        guard result == 0 else { return nil }
    }

    /// "GET", "POST" and so on, as sent.
    public var method: String {
        unsafe withView { unsafe $0.text(at: $0.head.pointee.method_start, $0.head.pointee.method_length) }
    }
    /// The target as sent: path and query.
    public var target: String {
        unsafe withView { unsafe $0.text(at: $0.head.pointee.target, $0.head.pointee.target_length) }
    }
    /// The path as sent, not decoded.
    public var path: String {
        unsafe withView { unsafe $0.text(at: $0.head.pointee.path, $0.head.pointee.path_length) }
    }
    /// The part behind the `?`, not decoded; `nil` when there is none.
    public var queryString: String? {
        unsafe withView {
            let head = unsafe $0.head.pointee
            guard Int(head.flags) & CRE_HTTP_HAS_QUERY != 0 else { return nil }
            return unsafe $0.text(at: head.query, head.query_length)
        }
    }
    /// The host that the client named, with a port if it gave one.
    public var host: String {
        unsafe withView { unsafe $0.text(at: $0.head.pointee.host, $0.head.pointee.host_length) }
    }

    /// Whether the connection uses TLS.
    public var isSecure: Bool { unsafe withView { unsafe Int($0.head.pointee.flags) & CRE_HTTP_SECURE != 0 } }

    /// The decoded arguments behind the `?`.
    public var query: Query { Query(text: queryString ?? "") }
    /// The header fields.
    public var header: Fields { Fields(request: self) }
    /// The cookies, as sent.
    public var cookies: [String: String] {
        unsafe withView { view in
            var cursor = unsafe cre_http_cookies()
            unsafe cre_http_cookies_of(&cursor, view.head, view.fields, view.bytes)
            var pair = unsafe cre_http_pair()
            var found: [String: String] = [:]
            while unsafe cre_http_cookies_next(&cursor, &pair) {
                let name = unsafe text(pair.name, pair.name_length)
                if found[name] == nil { found[name] = unsafe text(pair.value, pair.value_length) }
            }
            return found
        }
    }
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

    func withView<Result>(_ body: (cre_request_view) -> Result) -> Result {
        var view = unsafe cre_request_view()
        return unsafe storage.withUnsafeBufferPointer {
            // Checked in init.
            _ = unsafe cre_request_view_init(&view, $0.baseAddress, UInt32($0.count))
            return unsafe body(view)
        }
    }
}

extension Request {
    /// Header fields: `request.header["user-agent"]`. Names match in any letter case.
    public struct Fields: Sendable, Sequence {
        let request: Request

        /// The value of the first field of this name.
        public subscript(name: String) -> String? { all(name).first }

        /// The values of all fields of this name, in order.
        public func all(_ name: String) -> [String] {
            let wanted = name.lowercased()
            return filter { $0.name.lowercased() == wanted }.map(\.value)
        }

        /// The number of field lines.
        public var count: Int { unsafe request.withView { unsafe Int($0.head.pointee.field_count) } }

        /// All pairs of name and value, in order.
        public func makeIterator() -> some IteratorProtocol<(name: String, value: String)> {
            unsafe request.withView { view in
                unsafe (0..<Int(view.head.pointee.field_count)).map { index in
                    let field = unsafe view.fields[index]
                    return unsafe (
                        name: view.text(at: field.name, field.name_length),
                        value: view.text(at: field.value, field.value_length)
                    )
                }
            }.makeIterator()
        }
    }

    /// Decoded query arguments: `request.query["room"]`.
    public struct Query: Sendable, Sequence {
        let text: String

        /// The value of the first argument of this name.
        public subscript(name: String) -> String? { first { $0.name == name }?.value }

        /// All pairs of name and value, in order.
        public func makeIterator() -> some IteratorProtocol<(name: String, value: String)> {
            pairs().makeIterator()
        }

        private func pairs() -> [(name: String, value: String)] {
            var copy = text
            return copy.withUTF8 { bytes in
                var cursor = unsafe cre_http_query()
                var pair = unsafe cre_http_pair()
                var found: [(name: String, value: String)] = []
                unsafe bytes.withMemoryRebound(to: CChar.self) {
                    unsafe cre_http_query_of(&cursor, $0.baseAddress, $0.count, 0)
                    while unsafe cre_http_query_next(&cursor, &pair) == 1 {
                        // An argument with malformed escapes is skipped.
                        guard let name = unsafe decoded(pair.name, pair.name_length),
                            let value = unsafe decoded(pair.value, pair.value_length)
                        else { continue }
                        found.append((name, value))
                    }
                }
                return found
            }
        }

        private func decoded(_ start: UnsafePointer<CChar>?, _ length: Int) -> String? {
            guard length > 0, let start = unsafe start else { return "" }
            var valid = false
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: length) { out, count in
                let size = unsafe out.withMemoryRebound(to: CChar.self) {
                    unsafe cre_http_form_decode(start, length, $0.baseAddress)
                }
                valid = size >= 0
                count = Swift.max(0, Int(size))
            }
            return valid ? String(decoding: bytes, as: UTF8.self) : nil
        }
    }
}

extension cre_request_view {
    func text(at offset: UInt16, _ length: UInt16) -> String {
        unsafe String(decoding: UnsafeBufferPointer(start: bytes + Int(offset), count: Int(length)), as: UTF8.self)
    }
}

private func text(_ start: UnsafePointer<CChar>?, _ length: Int) -> String {
    guard let start = unsafe start else { return "" }
    return unsafe String(
        decoding: UnsafeRawBufferPointer(start: start, count: length), as: UTF8.self)
}
