internal import CReactor
internal import CReactorInternal
internal import Glibc

/// The descriptors of this process.
enum Descriptors {
    private static let most = 65_536

    /// Returns the open descriptors, in order.
    static func open() -> [Int32] {
        unsafe [Int32](unsafeUninitializedCapacity: most) { buffer, count in
            count = Int(max(0, unsafe cre_process_descriptors(buffer.baseAddress, buffer.count)))
        }
    }

    static func isPipe(_ descriptor: Int32) -> Bool {
        var info = stat()
        return unsafe fstat(descriptor, &info) == 0 && info.st_mode & S_IFMT == S_IFIFO
    }
}
