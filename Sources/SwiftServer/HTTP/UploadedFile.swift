internal import Glibc

/// A file that was made of a part of an upload. It is removed when the last reference to the object is released, so
/// that nothing is left of a request that fails, unless it was moved or kept. A process that crashes leaves it.
public final class UploadedFile: Sendable {
    /// The place of the file, in ``Request/Part/store(in:)``.
    public var path: String { state.withLock { $0.path } }
    /// The size in bytes.
    public let size: Int
    /// The name of the form's field.
    public let name: String
    /// The name that the client gave to the file; see ``Request/Part/fileName``.
    public let fileName: String?
    /// The type that the client gave to the content.
    public let contentType: String?

    private struct State {
        var path: String
        var isTemporary = true
    }

    private let state: Lock<State>

    init(_ part: Request.Part, path: String, size: Int) {
        state = Lock(State(path: path))
        self.size = size
        name = part.name
        fileName = part.fileName
        contentType = part.contentType
    }

    deinit {
        state.withLock { if $0.isTemporary { unsafe unlink($0.path) } }
    }

    /// Moves the file to another place of the same file system, where it stays. A file of this name is replaced.
    ///
    /// - Throws: ``FileError``.
    public func move(to path: String) throws(FileError) {
        let error: FileError? = state.withLock { state in
            guard unsafe rename(state.path, path) == 0 else { return FileError("move \(state.path) to \(path)", errno) }
            state = State(path: path, isTemporary: false)
            return nil
        }
        if let error { throw error }
    }

    /// Leaves the file where it is when the object is released.
    public func keep() { state.withLock { $0.isTemporary = false } }
}

/// Why a file of an upload cannot be written.
public struct FileError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line that names the file and the cause.
    public let description: String
    /// The error of the system, such as `ENOSPC`.
    public let errno: Int32

    init(_ action: String, _ errno: Int32) {
        description = unsafe "cannot \(action): \(String(cString: strerror(errno)))"
        self.errno = errno
    }
}

extension Request.Part {
    /// Writes the content to a new file with a random name, which is removed with the ``UploadedFile`` unless it is
    /// moved or kept. The file is readable for the user of the server only. Nothing of the client gets into its name.
    ///
    /// - Parameter directory: a directory of the server, if possible on the file system to which the file will be
    ///   moved. `nil`: ``Settings/uploadDirectory``.
    /// - Throws: ``FileError``, ``MultipartError`` or ``RequestBodyError``; nothing is left of the file then.
    @MainActor public func store(in directory: String? = nil) async throws -> UploadedFile {
        let directory = directory ?? UploadDirectory.current
        let number = String(UInt64.random(in: 0 ... .max), radix: 36) + String(UInt64.random(in: 0 ... .max), radix: 36)
        let path = "\(directory)/upload-\(number)"
        let size = try await write(to: path)
        return UploadedFile(self, path: path, size: size)
    }

    /// Writes the content to a new file, which stays.
    ///
    /// - Parameter path: the place of the file, which must not exist. Never make it of ``fileName``.
    /// - Returns: the size in bytes.
    /// - Throws: ``FileError``, ``MultipartError`` or ``RequestBodyError``; nothing is left of the file then.
    @MainActor @discardableResult public func save(to path: String) async throws -> Int {
        try await write(to: path)
    }

    /// The number of bytes that are written at once.
    private static let blockSize = 256 << 10

    @MainActor private func write(to path: String) async throws -> Int {
        let file = try FileWriter(creating: path)
        do {
            var block: [UInt8] = []
            var size = 0
            while let piece = try await reader.read(self) {
                block += piece
                size += piece.count
                guard block.count >= Request.Part.blockSize else { continue }
                try await file.write(block)
                block = []
            }
            try await file.write(block)
            try file.close()
            return size
        } catch {
            file.remove()
            throw error
        }
    }
}

/// A new file that is written outside of the loop, which a slow disk would hold up.
private final class FileWriter: Sendable {
    private let path: String
    private let descriptor: Lock<Int32>

    init(creating path: String) throws(FileError) {
        self.path = path
        let flags = O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW
        let opened = path.utf8.contains(0) ? -1 : unsafe open(path, flags, 0o600)
        descriptor = Lock(opened)
        guard opened >= 0 else { throw FileError("create \(path)", path.utf8.contains(0) ? EINVAL : errno) }
    }

    deinit {
        descriptor.withLock { if $0 >= 0 { _ = Glibc.close($0) } }
    }

    func write(_ bytes: [UInt8]) async throws {
        guard !bytes.isEmpty else { return }
        // A task without the executor of the caller: it runs on another thread.
        let error: Int32 = await Task.detached { [self] in descriptor.withLock { FileWriter.write(bytes, to: $0) } }
            .value
        if error != 0 { throw FileError("write \(path)", error) }
    }

    private static func write(_ bytes: [UInt8], to descriptor: Int32) -> Int32 {
        unsafe bytes.withUnsafeBytes { bytes in
            var written = 0
            while written < bytes.count {
                let count = unsafe Glibc.write(descriptor, bytes.baseAddress! + written, bytes.count - written)
                if count > 0 {
                    written += count
                } else if errno != EINTR {
                    return errno
                }
            }
            return 0
        }
    }

    /// Some file systems report a full disk here.
    func close() throws(FileError) {
        let result: Int32 = descriptor.withLock { descriptor in
            defer { descriptor = -1 }
            return Glibc.close(descriptor) == 0 ? 0 : errno
        }
        if result != 0 { throw FileError("write \(path)", result) }
    }

    func remove() { unsafe unlink(path) }
}

/// The directory of uploads in this process; see ``Settings/uploadDirectory``.
enum UploadDirectory {
    private static let value = Lock<String?>(nil)

    static func set(_ path: String?) { value.withLock { $0 = path } }

    static var current: String {
        if let path = value.withLock({ $0 }) { return path }
        return unsafe getenv("TMPDIR").map { unsafe String(cString: $0) } ?? "/tmp"
    }
}
