internal import Glibc

/// Files on connections of `.tcp` ports.
extension Server {
    /// Sends a regular file, or a part of it, on a connection of a `.tcp` port, at the pace of the client: suspends
    /// while its output queue is full. The calling worker reads the file, in pieces. What other code sends to the
    /// connection meanwhile goes between the pieces. Never pass a path from a client unchecked. For HTTP see
    /// ``Response/sendFile(_:offset:length:)``.
    ///
    /// - Parameters:
    ///   - path: the file, which must not shrink meanwhile.
    ///   - fd: the connection.
    ///   - offset: the start of the part; at most the file's size.
    ///   - length: the length of the part, cut at the end of the file. `nil`: up to the end.
    /// - Returns: ``PushResult/sent`` when everything was accepted; else the reason why the rest was not sent, for
    ///   example ``PushResult/closed`` or ``PushResult/notStream``.
    /// - Throws: ``ServerError`` when the file cannot be read, which may be after a part of it was sent, and
    ///   `CancellationError` when the task is cancelled.
    @MainActor @discardableResult
    public func sendFile(
        _ path: String, to fd: ConnectionID, offset: Int = 0, length: Int? = nil
    ) async throws -> PushResult {
        guard worker != nil, exists(fd) else { return .closed }
        let file = try FileReader(path, offset: offset, length: length)
        defer { file.close() }
        var interval = Server.fileIntervals.lowerBound
        while let piece = try file.next() {
            var result = send(piece, to: fd)
            while result == .full {
                try Task.checkCancellation()
                await sleep(for: interval)
                interval = min(interval * 2, Server.fileIntervals.upperBound)
                result = send(piece, to: fd)
            }
            guard result.isAccepted else { return result }
            interval = Server.fileIntervals.lowerBound
        }
        return .sent
    }

    /// The first interval at which a piece is sent again, and the last one: each is twice the one before.
    private static let fileIntervals: ClosedRange<Duration> = .milliseconds(2) ... .milliseconds(250)
}

/// Reads a part of a file in pieces.
private final class FileReader {
    private static let piece = 64 << 10
    private let path: String
    private let descriptor: Int32
    private var offset: Int
    private var left: Int

    init(_ path: String, offset: Int, length: Int?) throws(ServerError) {
        func fail(_ cause: String) -> ServerError {
            ServerError(code: .system, message: "cannot send \(path): \(cause)")
        }
        guard !path.utf8.contains(0) else { throw fail("the path has a zero byte") }
        // Without O_NONBLOCK a pipe would block the worker.
        descriptor = unsafe open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
        guard descriptor >= 0 else { throw fail(errorText(-errno)) }
        var status = stat()
        let isKnown = unsafe fstat(descriptor, &status) == 0
        let size = Int(status.st_size)
        guard isKnown, status.st_mode & S_IFMT == S_IFREG, (0...size).contains(offset), length ?? 0 >= 0 else {
            Glibc.close(descriptor)
            throw fail(
                isKnown && status.st_mode & S_IFMT == S_IFREG
                    ? "offset must be 0...\(size) and length 0 or more, got \(offset) and \(length ?? 0)"
                    : "it is not a regular file")
        }
        self.path = path
        self.offset = offset
        left = min(length ?? Int.max, size - offset)
    }

    /// The next piece, `nil` at the end of the part.
    func next() throws(ServerError) -> [UInt8]? {
        guard left > 0 else { return nil }
        let room = min(left, FileReader.piece)
        var result = 0
        let bytes = unsafe [UInt8](unsafeUninitializedCapacity: room) { out, count in
            repeat {
                result = unsafe pread(descriptor, out.baseAddress, room, off_t(offset))
            } while result < 0 && errno == EINTR
            count = max(0, result)
        }
        guard result > 0 else {
            let cause = result < 0 ? errorText(-errno) : "the file has shrunk"
            throw ServerError(code: .system, message: "cannot send \(path): \(cause)")
        }
        offset += result
        left -= result
        return bytes
    }

    func close() { Glibc.close(descriptor) }
}
