import Glibc
import TestProtocol

/// A configuration behind the end of the program file, after a marker: so tests make new versions of the program without
/// building it again.
enum Tail {
    static var configuration: Configuration? {
        get throws {
            let file = unsafe open("/proc/self/exe", O_RDONLY)
            guard file >= 0 else { return nil }
            defer { close(file) }
            var bytes = [UInt8](repeating: 0, count: 2048)
            let start = max(0, lseek(file, 0, SEEK_END) - bytes.count)
            let count = unsafe bytes.withUnsafeMutableBytes { unsafe pread(file, $0.baseAddress, $0.count, start) }
            let text = String(decoding: bytes[..<max(0, count)], as: UTF8.self)
            guard let found = text.ranges(of: programTail).last else { return nil }
            return try decoded(Configuration.self, String(text[found.upperBound...]))
        }
    }
}
