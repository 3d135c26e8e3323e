internal import CReactor
internal import Glibc

/// What the server knows of a request beside its bytes.
extension Request {
    enum Version {
        case http10, http11, http2

        /// A head of HTTP/2 has the minor version 0, too.
        @inline(__always) init(_ head: cre_http_head) {
            self = head.minor == 1 ? .http11 : head.flags & UInt16(CRE_HTTP_2) != 0 ? .http2 : .http10
        }
    }

    var version: Version { unsafe withView { unsafe Version($0.head.pointee) } }

    /// The protocol version, "1.0", "1.1" or "2".
    public var httpVersion: String {
        switch version {
        case .http10: "1.0"
        case .http11: "1.1"
        case .http2: "2"
        }
    }

    /// The time at which the server received the request, in seconds since 1970.
    public var time: Double {
        let elapsed = UInt32(truncatingIfNeeded: Request.milliseconds(CLOCK_MONOTONIC)) &- receivedAt
        return Double(Request.milliseconds(CLOCK_REALTIME) - Int64(elapsed)) / 1000
    }

    /// The request as it was received: request line, header fields, empty line and ``body``. A chunked body is
    /// without its chunk heads.
    public var raw: [UInt8] {
        unsafe withView {
            let head = unsafe UnsafeRawBufferPointer(start: $0.bytes, count: Int($0.head.pointee.head_length))
            return unsafe [UInt8](head) + UnsafeRawBufferPointer(start: $0.body, count: Int($0.body_length))
        }
    }

    /// The path with its escapes (`%20`) decoded; `nil` when one of them is malformed. A decoded path may have slashes
    /// and ".." that were escaped, so do not use it as the name of a file.
    public var decodedPath: String? {
        unsafe withView { view in
            let head = unsafe view.head.pointee
            let length = Int(head.path_length)
            var size: Int32 = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: length) { out, count in
                size = unsafe out.withMemoryRebound(to: CChar.self) { out in
                    unsafe (view.bytes + Int(head.path)).withMemoryRebound(to: CChar.self, capacity: length) {
                        unsafe length == 0 ? 0 : cre_http_percent_decode($0, length, out.baseAddress)
                    }
                }
                count = max(0, Int(size))
            }
            return size >= 0 ? String(decoding: bytes, as: UTF8.self) : nil
        }
    }

    /// A request that is received now.
    init?(fd: ConnectionID, number: UInt8 = 0, payload: UnsafeRawBufferPointer) {
        let now = UInt32(truncatingIfNeeded: Request.milliseconds(CLOCK_MONOTONIC))
        unsafe self.init(fd: fd, number: number, receivedAt: now, payload: payload)
    }

    static func milliseconds(_ clock: clockid_t) -> Int64 {
        var now = timespec()
        unsafe clock_gettime(clock, &now)
        return Int64(now.tv_sec) * 1000 + Int64(now.tv_nsec) / 1_000_000
    }
}

extension Request: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The request line: method, target and version.
    public var description: String { "\(method) \(target) HTTP/\(httpVersion)" }

    /// The request line and all header fields.
    public var debugDescription: String {
        header.reduce(into: description) { $0 += "\n\($1.name): \($1.value)" }
    }

    /// The parts of the request, for `dump`.
    public var customMirror: Mirror {
        Mirror(
            self,
            children: [
                "fd": fd, "method": method, "target": target, "path": path, "query": query.map { "\($0)=\($1)" },
                "httpVersion": httpVersion, "scheme": scheme, "header": header.map { "\($0): \($1)" },
                "cookies": cookies.dictionary, "remoteAddress": remoteAddress as Any, "remotePort": remotePort as Any,
                "localAddress": localAddress as Any, "serverPort": serverPort as Any, "time": time, "body": body,
            ], displayStyle: .struct)
    }
}
