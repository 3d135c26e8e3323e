internal import Glibc

/// A client's end of a TCP connection to this machine, whose calls block the calling thread, but not for ever.
package final class RawConnection {
    package private(set) var descriptor: Int32
    private var received: [UInt8] = []
    /// The longest time that a call waits.
    package var patience: Duration = .seconds(10)
    /// Whether the peer has closed its end.
    package private(set) var isAtEnd = false
    /// Whether the peer has reset the connection.
    package private(set) var wasReset = false

    /// Takes over a connected socket.
    package init(descriptor: Int32) {
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    }

    package init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw TestFailure("cannot make a socket", errno) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        let result = unsafe withUnsafePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            let error = TestFailure("cannot connect to port \(port)", errno)
            close(descriptor)
            throw error
        }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    }

    /// Makes a pair of connected sockets, and gives the other one away.
    init(other: (Int32) -> Void) throws {
        var ends: [Int32] = [-1, -1]
        let kind = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue)
        guard unsafe socketpair(AF_UNIX, kind, 0, &ends) == 0 else { throw TestFailure("cannot make sockets", errno) }
        descriptor = ends[0]
        other(ends[1])
    }

    deinit { disconnect() }

    /// Closes the socket without a closing handshake.
    package func disconnect() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    /// Closes the socket by a reset.
    package func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        disconnect()
    }

    package func shutdownOutput() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    package func send(_ bytes: [UInt8]) throws {
        let deadline = ContinuousClock.now + patience
        var sent = 0
        while sent < bytes.count {
            sent += try sendSome(bytes[sent...])
            if sent < bytes.count { try RawConnection.poll(descriptor, POLLOUT, until: deadline, "room to send") }
        }
    }

    package func send(_ text: String) throws { try send([UInt8](text.utf8)) }

    /// Sends as many of the bytes as the system takes now.
    package func sendSome(_ bytes: ArraySlice<UInt8>) throws -> Int {
        let count = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count >= 0 { return count }
        guard errno == EAGAIN else { throw TestFailure("cannot send", errno) }
        return 0
    }

    /// Whether something can be received, or the end of the connection.
    package var hasInput: Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        if !received.isEmpty { return true }
        return unsafe Glibc.poll(&entry, 1, 0) > 0
    }

    /// Waits until more can be sent. Returns false when that is not possible for `milliseconds`.
    package func waitForRoom(_ milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return unsafe Glibc.poll(&entry, 1, milliseconds) > 0
    }

    /// Drops the bytes that can be received now, and returns their number.
    package func discard() -> Int {
        let before = received.count
        received = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        return before + max(0, count)
    }

    /// The first `count` bytes that have not been taken yet; `nil` when the connection ends before.
    package func take(_ count: Int) throws -> [UInt8]? {
        let deadline = ContinuousClock.now + patience
        while received.count < count {
            guard try receive(until: deadline, "\(count) bytes, got \(received.count)") else { return nil }
        }
        defer { received.removeFirst(count) }
        return Array(received[..<count])
    }

    /// Everything up to the end of `mark`; `nil` when the connection ends before.
    package func take(through mark: String) throws -> String? {
        let deadline = ContinuousClock.now + patience
        let mark = [UInt8](mark.utf8)
        while true {
            if received.count >= mark.count {
                for start in 0...(received.count - mark.count)
                where received[start..<start + mark.count].elementsEqual(mark) {
                    return String(decoding: try take(start + mark.count)!, as: UTF8.self)
                }
            }
            guard try receive(until: deadline, "\(mark) after \(received.count) bytes") else { return nil }
        }
    }

    /// Everything up to the end of the connection.
    package func takeRest() throws -> [UInt8] {
        let deadline = ContinuousClock.now + patience
        while try receive(until: deadline, "the end of the connection") {}
        defer { received = [] }
        return received
    }

    private func receive(until deadline: ContinuousClock.Instant, _ what: @autoclosure () -> String) throws -> Bool {
        while !isAtEnd {
            var buffer = [UInt8](repeating: 0, count: 65_536)
            let count = unsafe buffer.withUnsafeMutableBytes {
                unsafe recv(descriptor, $0.baseAddress, $0.count, 0)
            }
            if count > 0 {
                received += buffer[..<count]
                return true
            }
            if count < 0 && errno == EAGAIN {
                try RawConnection.poll(descriptor, POLLIN, until: deadline, what())
                continue
            }
            wasReset = count < 0
            isAtEnd = true
        }
        return false
    }

    /// Waits until the descriptor is ready for `events`, or has failed.
    package static func poll(
        _ descriptor: Int32, _ events: Int32, until deadline: ContinuousClock.Instant, _ what: @autoclosure () -> String
    ) throws {
        while true {
            let left = deadline - .now
            guard left > .zero else { throw TestFailure("no \(what()) in time") }
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let milliseconds = left.components.seconds * 1000 + left.components.attoseconds / 1_000_000_000_000_000
            if unsafe Glibc.poll(&entry, 1, Int32(milliseconds) + 1) > 0 { return }
        }
    }
}
