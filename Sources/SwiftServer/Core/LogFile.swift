internal import Glibc

/// A log file, open for appending. All processes of a server write to it through the descriptor that they inherited.
struct LogFile: Sendable {
    /// Stays the same number when the file is opened again.
    let descriptor: Int32
    private let path: String
    /// Whether standard output and standard error are redirected to the file.
    private let takesOutput: Bool
    /// The owner of created files: workers that run as another user could not open them otherwise.
    private let owner: (user: UInt32, group: UInt32)?

    /// Opens the file, and creates it if it does not exist.
    init(_ path: String, owner: (user: UInt32, group: UInt32)?, takesOutput: Bool) throws(ServerError) {
        self.path = Path.absolute(path)
        self.owner = owner
        self.takesOutput = takesOutput
        descriptor = try LogFile.open(self.path, creates: true, owner)
    }

    /// Opens the file again by its name. Only the master creates files: other processes may lack the rights, or have
    /// another root directory.
    func reopen(creates: Bool) throws(ServerError) {
        let new = try LogFile.open(path, creates: creates, owner)
        dup2(new, descriptor)
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        Glibc.close(new)
        guard takesOutput else { return }
        for standard: Int32 in 1...2 { dup2(descriptor, standard) }
    }

    func close() { Glibc.close(descriptor) }

    private static func open(
        _ path: String, creates: Bool, _ owner: (user: UInt32, group: UInt32)?
    ) throws(ServerError) -> Int32 {
        // It may be a FIFO or a terminal: neither opening it nor writing to it may wait for its reader.
        let flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY | O_NONBLOCK
        // Only a file that was created here changes its owner: an existing one may be a link that someone planted.
        var descriptor = creates ? unsafe Glibc.open(path, flags | O_CREAT | O_EXCL, 0o640) : -1
        if descriptor >= 0 {
            if let owner { fchown(descriptor, owner.user, owner.group) }
        } else {
            descriptor = unsafe Glibc.open(path, creates ? flags | O_CREAT : flags, 0o640)
        }
        if descriptor < 0, errno == ENXIO {
            // A FIFO without a reader: opened like this it keeps what is written until there is one.
            descriptor = unsafe Glibc.open(path, (flags & ~O_WRONLY) | O_RDWR)
        }
        guard descriptor >= 0 else { throw .system("cannot write the log file \"\(path)\"", -errno) }
        return descriptor
    }
}
