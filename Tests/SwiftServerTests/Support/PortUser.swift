import Foundation
import Glibc

/// A program that listens on a port of this machine.
final class PortUser {
    let port: Int
    private let descriptor: Int32

    init(port: Int = 0, shared: Bool) throws {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var on: Int32 = 1
        unsafe setsockopt(
            descriptor, SOL_SOCKET, shared ? SO_REUSEPORT : SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = in_port_t(port).bigEndian
        address.sin_addr.s_addr = in_addr_t(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                guard unsafe bind(descriptor, $0, size) == 0, listen(descriptor, 1) == 0 else { return errno }
                return unsafe getsockname(descriptor, $0, &size)
            }
        }
        guard result == 0 else {
            close(descriptor)
            throw SystemError("listening", result)
        }
        self.descriptor = descriptor
        self.port = Int(in_port_t(bigEndian: address.sin_port))
    }

    deinit { close(descriptor) }

    /// Whether some program listens there. A port may be taken without that: by a connection to another one.
    static func isListening(_ port: Int) -> Bool {
        let suffix = ":" + String(format: "%04X", port)
        return ["/proc/net/tcp", "/proc/net/tcp6"].contains { path in
            let table = String(decoding: FileManager.default.contents(atPath: path) ?? Data(), as: UTF8.self)
            return table.split(separator: "\n").contains { line in
                let fields = line.split(separator: " ")
                return fields.count > 3 && fields[1].hasSuffix(suffix) && fields[3] == "0A"
            }
        }
    }
}
