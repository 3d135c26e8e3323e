internal import CReactor
internal import Glibc

/// A UDP socket that is connected to one address.
@safe final class Datagrams {
    /// The largest payload of a UDP packet.
    static let maxLength = 65_535

    private var descriptor: Int32 = -1
    let name: String

    init(_ options: ClientOptions, timeout: Duration) throws(ClientError) {
        try options.check(timeout: timeout)
        name = options.name
        let loop = try BlockingLoop()
        let box = Box(loop)
        var host = options.host
        var connector: OpaquePointer?
        let result = unsafe host.withCString { host in
            var options = unsafe cre_connect_options(port: UInt16(options.port), timeout: timeout)
            unsafe options.host = host
            return unsafe cre_connector_start(
                loop.raw, &options,
                { context, result in unsafe Unmanaged<Box>.fromOpaque(context!).takeUnretainedValue().set(result) },
                Unmanaged.passUnretained(box).toOpaque(), &connector)
        }
        host = ""
        if result == 0 { _ = try loop.run(timeout: nil) { box.result != nil } }
        let outcome = result == 0 ? box.result! : result
        guard outcome >= 0 else { throw ClientError("cannot connect to \(name)", outcome) }
        descriptor = outcome
    }

    deinit { close() }

    /// The result of the connector.
    private final class Box {
        private let loop: BlockingLoop
        private(set) var result: Int32?
        init(_ loop: BlockingLoop) { self.loop = loop }
        func set(_ result: Int32) {
            self.result = result
            loop.stop()
        }
    }

    var isOpen: Bool { descriptor >= 0 }

    func send(_ bytes: [UInt8], timeout: Duration?) throws(ClientError) {
        let deadline = timeout.map { ContinuousClock.now + $0 }
        while true {
            let descriptor = try open()
            let sent = unsafe Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
            if sent >= 0 { return }
            let error = errno
            if error == EINTR { continue }
            guard error == EAGAIN else { throw failure("cannot send to", error) }
            try wait(Int16(POLLOUT), deadline, timeout)
        }
    }

    func receive(maxLength: Int, timeout: Duration?) throws(ClientError) -> [UInt8] {
        let deadline = timeout.map { ContinuousClock.now + $0 }
        var room = [UInt8](repeating: 0, count: min(maxLength, Datagrams.maxLength))
        while true {
            let descriptor = try open()
            let got = unsafe Glibc.recv(descriptor, &room, room.count, 0)
            if got >= 0 {
                room.removeSubrange(got...)
                return room
            }
            let error = errno
            if error == EINTR { continue }
            guard error == EAGAIN else { throw failure("cannot receive from", error) }
            try wait(Int16(POLLIN), deadline, timeout)
        }
    }

    private func open() throws(ClientError) -> Int32 {
        guard isOpen else { throw ClientError(.closed, "the socket to \(name) is closed") }
        return descriptor
    }

    private func failure(_ action: String, _ error: Int32) -> ClientError {
        error == EMSGSIZE
            ? ClientError(.invalidMessage, "\(action) \(name): the packet is too long for UDP")
            : ClientError("\(action) \(name)", -error)
    }

    private func wait(
        _ events: Int16, _ deadline: ContinuousClock.Instant?, _ timeout: Duration?
    ) throws(ClientError) {
        var watched = pollfd(fd: descriptor, events: events, revents: 0)
        let left = deadline.map { max(.zero, $0 - .now) }
        let ready = unsafe poll(&watched, 1, Int32(clamping: left.timeoutMilliseconds))
        if ready == 0, left == .zero || left.map({ $0.milliseconds <= Int64(Int32.max) }) == true {
            throw ClientError(.timedOut, "nothing was received from \(name) within \(timeout!)")
        }
        if ready < 0, errno != EINTR { throw failure("cannot wait for", errno) }
    }

    func close() {
        guard isOpen else { return }
        Glibc.close(descriptor)
        descriptor = -1
    }
}

extension cre_connect_options {
    fileprivate init(port: UInt16, timeout: Duration) {
        unsafe self.init()
        unsafe size = MemoryLayout<cre_connect_options>.size
        unsafe self.port = port
        unsafe timeout_ms = UInt32(timeout.milliseconds)
        unsafe datagram = 1
    }
}
