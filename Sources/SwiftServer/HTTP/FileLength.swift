internal import Glibc

enum FileLength {
    /// The length of a part of a file, as the file is now; 0 for what is no regular file, or does not have the offset.
    static func length(of path: String, from offset: Int, atMost length: Int?) -> Int {
        var status = stat()
        guard unsafe stat(path, &status) == 0, status.st_mode & S_IFMT == S_IFREG, offset <= Int(status.st_size) else {
            return 0
        }
        return min(length ?? .max, Int(status.st_size) - offset)
    }
}
