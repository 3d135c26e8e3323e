internal import CReactor

/// Which of a connection's requests, of which several may be in progress.
struct RequestID: Hashable, Sendable {
    let connection: ConnectionID
    let number: UInt8
}

/// An HTTP request, or the handshake of a WebSocket. It was parsed once, by the server; what is asked of it is looked up.
public struct Request: Sendable {
    /// The connection it came on.
    public let fd: ConnectionID
    /// Head, field table, the head's bytes and the body, as they came from the C core.
    let storage: [UInt8]
    /// What its answer names.
    let number: UInt8

    /// Where its body comes, if that comes in pieces.
    var incoming: IncomingBody?

    var id: RequestID { RequestID(connection: fd, number: number) }

    init?(fd: ConnectionID, number: UInt8 = 0, payload: UnsafeRawBufferPointer) {
        self.fd = fd
        self.number = number
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
    /// What stands behind the `?`, not decoded; `nil` when there is none.
    public var queryString: String? {
        unsafe withView {
            let head = unsafe $0.head.pointee
            guard Int(head.flags) & CRE_HTTP_HAS_QUERY != 0 else { return nil }
            return unsafe $0.text(at: head.query, head.query_length)
        }
    }
    /// The host that the client wanted, with a port if it gave one.
    public var host: String {
        unsafe withView { unsafe $0.text(at: $0.head.pointee.host, $0.head.pointee.host_length) }
    }

    /// Whether it came over TLS.
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
    /// The body; empty when there is none, and when it comes in pieces (``Settings/streamRequestBodies``).
    public var body: [UInt8] {
        unsafe withView { unsafe [UInt8](UnsafeBufferPointer(start: $0.body, count: Int($0.body_length))) }
    }

    /// The body as it comes, if it comes in pieces (``Settings/streamRequestBodies``); else all of ``body`` at once.
    ///
    /// What was not read when the response is ended is lost. A client that waits for "100 Continue" gets it when the first
    /// piece is asked for.
    public var bodyPieces: RequestBody {
        RequestBody(source: incoming.map { .incoming($0) } ?? .whole(body))
    }

    /// The client waits to be told that its body is wanted.
    var isExpected: Bool { unsafe withView { unsafe Int($0.head.pointee.flags) & CRE_HTTP_EXPECT_CONTINUE != 0 } }

    fileprivate func withView<Result>(_ body: (cre_request_view) -> Result) -> Result {
        var view = unsafe cre_request_view()
        return unsafe storage.withUnsafeBufferPointer {
            // Checked in init.
            unsafe cre_request_view_init(&view, $0.baseAddress, UInt32($0.count))
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

        /// How many field lines there are.
        public var count: Int { unsafe request.withView { unsafe Int($0.head.pointee.field_count) } }

        /// All of them, in order.
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

        /// All of them, in order.
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
                        // An argument whose escapes are broken is left out.
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
    fileprivate func text(at offset: UInt16, _ length: UInt16) -> String {
        unsafe String(decoding: UnsafeBufferPointer(start: bytes + Int(offset), count: Int(length)), as: UTF8.self)
    }
}

private func text(_ start: UnsafePointer<CChar>?, _ length: Int) -> String {
    guard let start = unsafe start else { return "" }
    return unsafe String(
        decoding: UnsafeRawBufferPointer(start: start, count: length), as: UTF8.self)
}
