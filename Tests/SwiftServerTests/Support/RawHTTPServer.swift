import Foundation
import SwiftServerTesting
import Testing

/// A server that serves each connection by a closure, on a thread of its own, and so may misbehave.
final class RawHTTPServer: @unchecked Sendable {
    let port: Int
    private let descriptor: Int32
    private let lock = NSLock()
    private var accepted = 0
    private var seen: [String] = []

    /// The number of connections so far.
    var connections: Int { lock.withLock { accepted } }
    /// The heads of all requests so far.
    var requests: [String] { lock.withLock { seen } }

    /// `serve` gets the number of the connection, from 1.
    init(path: String? = nil, _ serve: @escaping @Sendable (RawPeer, _ number: Int) throws -> Void) throws {
        if let path {
            descriptor = try RawHTTPServer.listen(path)
            port = 0
        } else {
            (descriptor, port) = try RawHTTPServer.listen()
        }
        let thread = Thread { [self, descriptor] in
            while case let socket = accept(descriptor, nil, nil), socket >= 0 {
                let number = lock.withLock { () -> Int in
                    accepted += 1
                    return accepted
                }
                let peer = RawPeer(socket) { head in self.lock.withLock { self.seen.append(head) } }
                Thread.detachNewThread { try? serve(peer, number) }
            }
            close(descriptor)
        }
        thread.start()
    }

    /// Accepts nothing more.
    func stop() { shutdown(descriptor, Int32(SHUT_RDWR)) }

    private static func listen() throws -> (Int32, Int) {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, size) + Glibc.listen(descriptor, 50) + getsockname(descriptor, $0, &size)
            }
        }
        try #require(result == 0)
        return (descriptor, Int(UInt16(bigEndian: address.sin_port)))
    }

    private static func listen(_ path: String) throws -> Int32 {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: path.utf8) }
        let size = socklen_t(MemoryLayout<sockaddr_un>.size)
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, size) + Glibc.listen(descriptor, 50)
            }
        }
        try #require(result == 0)
        return descriptor
    }
}

/// A connection of a ``RawHTTPServer``, for its thread. Its end closes it.
final class RawPeer: @unchecked Sendable {
    struct Ended: Error {}

    private let descriptor: Int32
    private let note: (String) -> Void
    private var pending: [UInt8] = []

    init(_ descriptor: Int32, _ note: @escaping (String) -> Void) {
        self.descriptor = descriptor
        self.note = note
    }

    deinit { close(descriptor) }

    /// More bytes; none: the client has closed.
    private func more() -> [UInt8] {
        var room = [UInt8](repeating: 0, count: 65_536)
        let got = unsafe recv(descriptor, &room, room.count, 0)
        return Array(room[..<max(0, got)])
    }

    /// Reads the head of a request.
    @discardableResult func head() throws -> String {
        func headEnd() -> Int? {
            guard pending.count >= 4 else { return nil }
            return (4...pending.count).first { pending[($0 - 4)..<$0].elementsEqual([13, 10, 13, 10]) }
        }
        while headEnd() == nil {
            let bytes = more()
            if bytes.isEmpty { throw Ended() }
            pending += bytes
        }
        let head = String(decoding: pending[..<headEnd()!], as: UTF8.self)
        pending.removeFirst(headEnd()!)
        guard head.contains(" HTTP/1.1\r\n") else { throw Ended() }
        note(head)
        return head
    }

    /// Whether bytes have arrived behind the last head.
    var hasMore: Bool {
        var byte: UInt8 = 0
        let peeked = unsafe recv(descriptor, &byte, 1, Int32(MSG_PEEK | MSG_DONTWAIT))
        return !pending.isEmpty || peeked > 0
    }

    /// Reads up to a text, which is part of the result.
    func text(through end: String) throws -> String {
        while true {
            let text = String(decoding: pending, as: UTF8.self)
            if let range = text.range(of: end) {
                let found = String(text[..<range.upperBound])
                pending.removeFirst(found.utf8.count)
                return found
            }
            let bytes = more()
            if bytes.isEmpty { throw Ended() }
            pending += bytes
        }
    }

    /// Reads the head of a request, and its body if that has a length.
    @discardableResult func request() throws -> (head: String, body: String) {
        let head = try head()
        return (head, try body(head))
    }

    /// Reads the body of a request whose head has its length.
    func body(_ head: String) throws -> String {
        let line = head.split(separator: "\r\n").first { $0.lowercased().hasPrefix("content-length: ") }
        let length = line.flatMap { Int($0.dropFirst(16)) } ?? 0
        while pending.count < length {
            let bytes = more()
            if bytes.isEmpty { throw Ended() }
            pending += bytes
        }
        defer { pending.removeFirst(length) }
        return String(decoding: pending[..<length], as: UTF8.self)
    }

    func write(_ text: String) { write(Array(text.utf8)) }

    func write(_ bytes: [UInt8]) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = unsafe rest.withUnsafeBytes {
                unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
            }
            if sent <= 0 { return }
            rest = rest.dropFirst(sent)
        }
    }

    /// Writes a response with this body.
    func respond(_ status: Int = 200, _ fields: String = "", _ body: String = "") {
        write("HTTP/1.1 \(status) x\r\nContent-Length: \(body.utf8.count)\r\n\(fields)\r\n\(body)")
    }

    /// Waits until the client has closed the connection, and returns the number of bytes that came before.
    @discardableResult func awaitEnd() -> Int {
        var count = pending.count
        while case let bytes = more(), !bytes.isEmpty { count += bytes.count }
        return count
    }
}
