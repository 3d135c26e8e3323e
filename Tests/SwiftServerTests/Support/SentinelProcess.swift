import Foundation
import Synchronization

/// A server of Redis with the password "pw", and a sentinel that names it "mine".
final class SentinelProcess {
    private let folder: Folder
    private var pids: [Int32] = []
    private var ports: [Int] = []

    /// The address of the sentinel.
    var address: String { "127.0.0.1:\(ports[1])" }

    init() throws {
        folder = try Folder()
        ports = try [SentinelProcess.freePort(), SentinelProcess.freePort()]
        let sentinel = """
            bind 127.0.0.1
            port \(ports[1])
            logfile \(folder.file("sentinel.log"))
            sentinel monitor mine 127.0.0.1 \(ports[0]) 1
            sentinel auth-pass mine pw

            """
        try sentinel.write(toFile: folder.file("sentinel"), atomically: true, encoding: .utf8)
        let log = folder.file("log")
        pids.append(
            try RedisProcess.spawn([
                "--bind", "127.0.0.1", "--port", "\(ports[0])", "--save", "", "--requirepass", "pw", "--logfile", log,
            ]))
        pids.append(try RedisProcess.spawn([folder.file("sentinel"), "--sentinel"]))
    }

    deinit {
        for pid in pids {
            kill(pid, SIGKILL)
            waitpid(pid, nil, 0)
        }
    }

    private static let next = Mutex(Int.random(in: 0..<10_000))

    /// A port below those that the system gives to clients and to servers that ask for any, so that nobody takes it
    /// before Redis does; each call returns another one.
    static func freePort() throws -> Int {
        for _ in 0..<100 {
            let port = next.withLock { next in
                next = (next + 1) % 10_000
                return 20_000 + next
            }
            if try isFree(port) { return port }
        }
        throw SystemError("finding a port", EADDRINUSE)
    }

    private static func isFree(_ port: Int) throws -> Bool {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7f00_0001).bigEndian
        address.sin_port = UInt16(port).bigEndian
        let result = unsafe withUnsafePointer(to: address) {
            unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                unsafe bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 || errno == EADDRINUSE else { throw SystemError("finding a port", errno) }
        return result == 0
    }
}
