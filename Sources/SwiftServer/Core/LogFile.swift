internal import Glibc

/// The file of a log, open for appending. All processes of a server write to it, each by a descriptor of the same number
/// that it inherited.
struct LogFile: Sendable {
    /// The same for the life of the log, whatever file it is.
    let descriptor: Int32
    private let path: String
    /// Whether standard output and standard error go there, too.
    private let takesOutput: Bool
    /// Whose a file is that is made here: workers with another user could not open it otherwise.
    private let owner: (user: UInt32, group: UInt32)?

    /// Opens the file, or makes it.
    init(_ path: String, owner: (user: UInt32, group: UInt32)?, takesOutput: Bool) throws(ServerError) {
        self.path = absolutePath(path)
        self.owner = owner
        self.takesOutput = takesOutput
        descriptor = try LogFile.open(self.path, creates: true, owner)
    }

    /// Only the master makes files: others might be somebody who may not, or see another root.
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
        let flags = O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY
        // Only a file that was made here is given away: another one may be a link that somebody put there for that.
        var descriptor = creates ? unsafe Glibc.open(path, flags | O_CREAT | O_EXCL, 0o640) : -1
        if descriptor >= 0 {
            if let owner { fchown(descriptor, owner.user, owner.group) }
        } else {
            descriptor = unsafe Glibc.open(path, creates ? flags | O_CREAT : flags, 0o640)
        }
        guard descriptor >= 0 else { throw .system("cannot write the log file \"\(path)\"", -errno) }
        return descriptor
    }
}

/// What a path means now, whatever the working directory will be later.
func absolutePath(_ path: String) -> String {
    guard !path.hasPrefix("/"), let folder = unsafe getcwd(nil, 0) else { return path }
    defer { unsafe free(folder) }
    return unsafe String(cString: folder) + "/" + path
}
