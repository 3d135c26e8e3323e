internal import Glibc

/// The file with the pid of the master, locked while the master lives: a second server is refused, and the file of a
/// server that was killed is reused.
struct PIDFile: Sendable {
    /// Holds the lock. Children must close their copy, or the lock would outlive the master.
    let descriptor: Int32
    private let path: String

    /// Creates and locks the file. It is empty until ``write()``.
    init(_ path: String) throws(ServerError) {
        self.path = Path.absolute(path)
        // Its previous owner may remove the file between open and lock. Such a lock protects nothing.
        for _ in 0..<100 {
            let descriptor = unsafe open(self.path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOCTTY, 0o644)
            guard descriptor >= 0 else { throw PIDFile.failed("cannot write the PID file \"\(self.path)\"", errno) }
            guard flock(descriptor, LOCK_EX | LOCK_NB) == 0 else {
                let cause = errno
                let pid = PIDFile.read(descriptor)
                Glibc.close(descriptor)
                guard cause == EWOULDBLOCK else { throw PIDFile.failed("cannot lock \"\(self.path)\"", cause) }
                let who = pid.isEmpty ? "another server, which is just starting," : "the server with pid \(pid)"
                throw ServerError(code: .pidFile, message: "\(who) runs already: it holds \"\(self.path)\"")
            }
            if PIDFile.isThere(descriptor, self.path) {
                ftruncate(descriptor, 0)
                self.descriptor = descriptor
                return
            }
            Glibc.close(descriptor)
        }
        throw ServerError(code: .pidFile, message: "cannot lock \"\(self.path)\": it changed 100 times in a row")
    }

    /// Writes the pid of this process, the master.
    func write() throws(ServerError) {
        var text = Array("\(getpid())\n".utf8)
        guard unsafe pwrite(descriptor, &text, text.count, 0) == text.count else {
            throw PIDFile.failed("cannot write the PID file \"\(path)\"", errno)
        }
    }

    /// Removes the file at an orderly end.
    func remove() {
        if PIDFile.isThere(descriptor, path) { unsafe unlink(path) }
        Glibc.close(descriptor)
    }

    private static func failed(_ what: String, _ error: Int32) -> ServerError {
        ServerError(code: .pidFile, message: "\(what): \(errorText(-error))")
    }

    /// Returns the content, empty if it is not a number.
    private static func read(_ descriptor: Int32) -> String {
        var bytes = [UInt8](repeating: 0, count: 32)
        let count = unsafe pread(descriptor, &bytes, bytes.count, 0)
        let text = String(decoding: bytes[..<max(0, count)].prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
        return Int32(text) == nil ? "" : text
    }

    /// Whether the path still names the open file.
    private static func isThere(_ descriptor: Int32, _ path: String) -> Bool {
        var open = stat()
        var there = stat()
        return unsafe fstat(descriptor, &open) == 0 && stat(path, &there) == 0 && open.st_ino == there.st_ino
            && open.st_dev == there.st_dev
    }
}
