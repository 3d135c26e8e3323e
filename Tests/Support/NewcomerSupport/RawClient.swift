import Glibc

/// A small blocking client of a server on this machine.
package final class RawClient {
    private let descriptor: Int32

    package init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var limit = timeval(tv_sec: 10, tv_usec: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &limit, socklen_t(MemoryLayout<timeval>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        if result != 0 { throw Broken("cannot connect to port \(port): error \(errno)") }
    }

    deinit { close(descriptor) }

    package func send(_ bytes: [UInt8]) throws {
        var sent = 0
        while sent < bytes.count {
            let count = unsafe bytes[sent...].withUnsafeBytes {
                unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if count <= 0 { throw Broken("the connection ended while sending") }
            sent += count
        }
    }

    package func send(_ text: String) throws { try send([UInt8](text.utf8)) }

    /// Returns exactly `count` bytes.
    package func take(_ count: Int) throws -> [UInt8] {
        var bytes: [UInt8] = []
        while bytes.count < count {
            let some = try receive(count - bytes.count)
            if some.isEmpty { throw Broken("the connection ended after \(bytes.count) of \(count) bytes") }
            bytes += some
        }
        return bytes
    }

    /// Returns everything up to the end of the connection.
    package func takeRest() throws -> String {
        var bytes: [UInt8] = []
        while true {
            let some = try receive(65_536)
            if some.isEmpty { return String(decoding: bytes, as: UTF8.self) }
            bytes += some
        }
    }

    package func takeText(_ count: Int) throws -> String { String(decoding: try take(count), as: UTF8.self) }

    private func receive(_ count: Int) throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: count)
        let received = unsafe bytes.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        if received < 0 && errno != ECONNRESET { throw Broken("nothing was received: error \(errno)") }
        return Array(bytes[..<max(0, received)])
    }
}

// MARK: - HTTP and WebSocket

/// Requests a page; returns status and body.
package func get(_ path: String, port: Int, fields: String = "") throws -> (status: Int, body: String) {
    let client = try RawClient(port: port)
    try client.send("GET \(path) HTTP/1.1\r\nHost: localhost\r\n\(fields)Connection: close\r\n\r\n")
    let response = try client.takeRest()
    guard let status = Int(response.dropFirst(9).prefix(3)), let end = response.firstRange(of: "\r\n\r\n") else {
        throw Broken("no response but \"\(response)\"")
    }
    return (status, String(response[end.upperBound...]))
}

/// A WebSocket of short text messages.
package final class Socket {
    private let client: RawClient

    package init(port: Int, path: String = "/") throws {
        client = try RawClient(port: port)
        try client.send(
            """
            GET \(path) HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\
            Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n
            """)
        var head = ""
        while !head.hasSuffix("\r\n\r\n") { head += try client.takeText(1) }
        guard head.hasPrefix("HTTP/1.1 101") else { throw Broken("no upgrade but \(head)") }
    }

    package func send(_ text: String) throws {
        precondition(text.utf8.count < 126, "short texts only")
        try client.send([0x81, 0x80 | UInt8(text.utf8.count), 0, 0, 0, 0] + [UInt8](text.utf8))
    }

    /// The text of the next message; of a close frame its code.
    package func receive() throws -> String {
        let head = try client.take(2)
        let payload = try client.take(Int(head[1]))
        if head[0] & 15 == 8 {
            return payload.count < 2 ? "closed" : "closed \(Int(payload[0]) << 8 | Int(payload[1]))"
        }
        return String(decoding: payload, as: UTF8.self)
    }

    package func ask(_ text: String) throws -> String {
        try send(text)
        return try receive()
    }
}
