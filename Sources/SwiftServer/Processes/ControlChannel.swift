internal import Glibc

/// The channel between the manager and a successor that is getting ready while its predecessor serves.
struct ControlChannel: Sendable {
    let descriptor: Int32

    /// Creates a channel: the manager's end and the successor's.
    static func pair() throws(ServerError) -> (ControlChannel, ControlChannel) {
        var ends: [Int32] = [-1, -1]
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        guard unsafe socketpair(AF_UNIX, type, 0, &ends) == 0 else {
            throw .system("cannot create a socket pair", -errno)
        }
        return (ControlChannel(descriptor: ends[0]), ControlChannel(descriptor: ends[1]))
    }

    /// A report of the successor.
    enum Report: Equatable {
        case nothing
        /// A new program has reached `start()`.
        case started
        /// `onWorkerStart` has finished, or wants to use what only one process can have.
        case ready
        case failed(String)
    }

    private static let ready: UInt8 = 1
    private static let failed: UInt8 = 2
    private static let begin: UInt8 = 3
    private static let started: UInt8 = 4

    // MARK: The manager's side

    /// Returns the report that has arrived, without waiting.
    func report() -> Report {
        var bytes = read(flags: Int32(MSG_DONTWAIT))[...]
        // Another report may have arrived behind it.
        if bytes.count > 1, bytes.first == ControlChannel.started { bytes.removeFirst() }
        return switch bytes.first {
        case ControlChannel.started: .started
        case ControlChannel.ready: .ready
        case ControlChannel.failed: .failed(String(decoding: bytes.dropFirst(), as: UTF8.self))
        default: .nothing
        }
    }

    /// Lets the successor begin.
    func letBegin() { write([ControlChannel.begin]) }

    // MARK: The successor's side

    /// Reports that the program has reached `start()` and fits the server.
    func reportStart() { write([ControlChannel.started]) }

    /// Reports that this process is ready, and waits until it may begin. Returns false when the manager has ended, or
    /// aborted the reload.
    func waitForPermission() -> Bool {
        write([ControlChannel.ready])
        return read(flags: 0) == [ControlChannel.begin]
    }

    /// Reports why this process cannot start.
    func fail(_ cause: String) { write([ControlChannel.failed] + cause.utf8.prefix(1000)) }

    func end() { Glibc.close(descriptor) }

    private func write(_ bytes: [UInt8]) {
        _ = unsafe bytes.withUnsafeBytes { unsafe send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
    }

    private func read(flags: Int32) -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 1024)
        while true {
            let count = unsafe bytes.withUnsafeMutableBytes { unsafe recv(descriptor, $0.baseAddress, $0.count, flags) }
            if count < 0 && errno == EINTR { continue }
            return Array(bytes[..<max(0, count)])
        }
    }
}
