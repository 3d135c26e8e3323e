import Glibc

/// A client's end of a TCP connection to this machine.
final class Connection {
    private(set) var descriptor: Int32
    private var received: [UInt8] = []
    /// The peer has closed its end.
    private(set) var isAtEnd = false
    /// ... by a reset.
    private(set) var wasReset = false

    /// Another connected socket; it is owned.
    init(descriptor: Int32) {
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    }

    init(port: Int) throws {
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw SystemError("making a socket") }
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
            let error = SystemError("connecting to port \(port)")
            close(descriptor)
            throw error
        }
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
    }

    deinit { disconnect() }

    /// Goes away without a word.
    func disconnect() {
        if descriptor >= 0 { close(descriptor) }
        descriptor = -1
    }

    /// Goes away by a reset.
    func reset() {
        var linger = linger(l_onoff: 1, l_linger: 0)
        unsafe setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &linger, socklen_t(MemoryLayout<Glibc.linger>.size))
        disconnect()
    }

    func shutdownOutput() { _ = shutdown(descriptor, Int32(SHUT_WR)) }

    func send(_ bytes: [UInt8]) throws {
        let deadline = ContinuousClock.now + Wait.patience
        var sent = 0
        while sent < bytes.count {
            sent += try sendSome(bytes[sent...])
            if sent < bytes.count { try Wait.poll(descriptor, POLLOUT, until: deadline, "room to send") }
        }
    }

    func send(_ text: String) throws { try send([UInt8](text.utf8)) }

    /// As many of the bytes as the system takes now.
    func sendSome(_ bytes: ArraySlice<UInt8>) throws -> Int {
        let count = unsafe bytes.withUnsafeBytes {
            unsafe Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL))
        }
        if count >= 0 { return count }
        guard errno == EAGAIN else { throw SystemError("sending") }
        return 0
    }

    /// Whether something can be received, or the end of the connection.
    var hasInput: Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
        if !received.isEmpty { return true }
        return unsafe Glibc.poll(&entry, 1, 0) > 0
    }

    /// Waits until more can be sent; false: nothing of it for `milliseconds`.
    func waitForRoom(_ milliseconds: Int32) -> Bool {
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        return unsafe Glibc.poll(&entry, 1, milliseconds) > 0
    }

    /// Drops what can be received now, and returns how many bytes it was.
    func discard() -> Int {
        let before = received.count
        received = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        let count = unsafe buffer.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, 0) }
        return before + max(0, count)
    }

    /// The first `count` bytes that have not been taken yet; `nil` when the connection ends before.
    func take(_ count: Int) throws -> [UInt8]? {
        let deadline = ContinuousClock.now + Wait.patience
        while received.count < count {
            guard try receive(until: deadline, "\(count) bytes, of which \(received.count) came") else { return nil }
        }
        defer { received.removeFirst(count) }
        return Array(received[..<count])
    }

    /// Everything up to the end of `mark`; `nil` when the connection ends before.
    func take(through mark: String) throws -> String? {
        let deadline = ContinuousClock.now + Wait.patience
        let mark = [UInt8](mark.utf8)
        while true {
            if received.count >= mark.count {
                for start in 0...(received.count - mark.count)
                where received[start..<start + mark.count].elementsEqual(mark) {
                    return String(decoding: try take(start + mark.count)!, as: UTF8.self)
                }
            }
            guard try receive(until: deadline, "\(mark) after \(received)") else { return nil }
        }
    }

    /// What comes until the connection ends.
    func takeRest() throws -> [UInt8] {
        let deadline = ContinuousClock.now + Wait.patience
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
                try Wait.poll(descriptor, POLLIN, until: deadline, what())
                continue
            }
            wasReset = count < 0
            isAtEnd = true
        }
        return false
    }
}
