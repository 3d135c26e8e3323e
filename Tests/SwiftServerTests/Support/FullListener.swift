import Glibc
import Testing

/// A listening socket that nobody accepts from, with as many connections in its queue as have room there.
final class FullListener {
    let port: Int
    private let descriptors: [Int32]

    init() throws {
        let listener = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        let client = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        descriptors = [listener, client]
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var size = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = unsafe withUnsafeMutablePointer(to: &address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(listener, $0, size) | listen(listener, 0) | getsockname(listener, $0, &size)
                    | connect(client, $0, size)
            }
        }
        port = Int(UInt16(bigEndian: address.sin_port))
        try #require(result == 0, "a listening socket: \(errno)")
        // The connection is in the queue when the system has handled the last packet of its handshake.
        try Wait.until("a full queue") {
            var info = tcp_info()
            var size = socklen_t(MemoryLayout<tcp_info>.size)
            let result = unsafe getsockopt(listener, Int32(IPPROTO_TCP), TCP_INFO, &info, &size)
            return result == 0 && info.tcpi_unacked > info.tcpi_sacked
        }
    }

    deinit { for descriptor in descriptors { close(descriptor) } }
}
