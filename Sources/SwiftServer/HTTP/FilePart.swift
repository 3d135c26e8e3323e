internal import CReactor
internal import Glibc

/// A part of a file, as ``Response/sendFile(_:offset:length:)`` finds it.
struct FilePart {
    /// The length; 0 when the file cannot be sent.
    private(set) var length = 0
    /// The open file, for a response that takes it over; -1: the owner of the connection opens it.
    private(set) var descriptor: Int32 = -1
    /// The status of the error page that the client gets, when the file cannot be sent.
    private(set) var refusal: UInt16?

    /// Opens the file, for a connection of this process.
    init(opening path: String, from offset: Int, atMost length: Int?) {
        var info = cre_file_info()
        descriptor = unsafe cre_file_open_path(path, &info)
        guard descriptor >= 0 else {
            refuse(descriptor)
            return
        }
        guard UInt64(offset) <= info.size else {
            Glibc.close(descriptor)
            refuse(CRE_EINVALID.rawValue)
            return
        }
        self.length = min(length ?? .max, Int(info.size) - offset)
    }

    /// Looks at the file, which the process that owns the connection opens with the rights that this one has.
    /// `checksRights`: someone wants to know whether it can.
    init(at path: String, from offset: Int, atMost length: Int?, checksRights: Bool) {
        var status = stat()
        var error: Int32 = 0
        if unsafe stat(path, &status) != 0 {
            error = -errno
        } else if status.st_mode & S_IFMT == S_IFDIR {
            error = -EISDIR
        } else if status.st_mode & S_IFMT != S_IFREG || offset > Int(status.st_size) {
            error = CRE_EINVALID.rawValue
        } else if checksRights {
            error = unsafe faccessat(AT_FDCWD, path, R_OK, AT_EACCESS) == 0 ? 0 : -errno
        }
        if error == 0 {
            self.length = min(length ?? .max, Int(status.st_size) - offset)
        } else {
            refuse(error)
        }
    }

    private mutating func refuse(_ error: Int32) {
        descriptor = -1
        refusal = UInt16(cre_file_status(error))
    }
}
