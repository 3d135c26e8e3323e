import Foundation
import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Messages to the program that supervises the server, by the protocol of systemd.
    @Suite struct SupervisorTests {
        /// A datagram socket at which a supervisor listens.
        private final class Listener {
            let name: String
            private let socket: Int32

            /// The name is a path, or that of an abstract socket with a leading @.
            init(_ name: String) throws {
                self.name = name
                socket = Glibc.socket(AF_UNIX, Int32(SOCK_DGRAM.rawValue), 0)
                _ = fcntl(socket, F_SETFD, FD_CLOEXEC)
                var address = sockaddr_un()
                address.sun_family = sa_family_t(AF_UNIX)
                let isAbstract = name.hasPrefix("@")
                var bytes = Array(name.utf8)
                if isAbstract { bytes[0] = 0 }
                unsafe withUnsafeMutableBytes(of: &address.sun_path) { unsafe $0.copyBytes(from: bytes) }
                let size = MemoryLayout<sa_family_t>.size + bytes.count + (isAbstract ? 0 : 1)
                let result = unsafe withUnsafePointer(to: address) {
                    unsafe $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                        unsafe bind(socket, $0, socklen_t(size))
                    }
                }
                guard socket >= 0, result == 0 else { throw SystemError("binding \(name)") }
            }

            deinit { close(socket) }

            /// The next message, or the next one that is no sign of life.
            func next(signsOfLife: Bool = false) throws -> String {
                let deadline = ContinuousClock.now + Wait.patience
                while true {
                    try RawConnection.poll(socket, POLLIN, until: deadline, "a message to the supervisor")
                    var buffer = [UInt8](repeating: 0, count: 4096)
                    let count = unsafe buffer.withUnsafeMutableBytes {
                        unsafe recv(socket, $0.baseAddress, $0.count, 0)
                    }
                    let message = String(decoding: buffer[..<max(0, count)], as: UTF8.self)
                    if (message == "WATCHDOG=1") == signsOfLife { return message }
                }
            }
        }

        @Test(arguments: ServerMode.allCases, [true, false])
        func statesAreReported(_ mode: ServerMode, _ isAbstract: Bool) throws {
            guard isAbstract || mode == .process else { return }  // the kind of socket does not depend on the mode
            let folder = try Folder()
            let listener = try Listener((isAbstract ? "@" : "") + folder.file("notify"))
            let environment = ["NOTIFY_SOCKET=\(listener.name)", "WATCHDOG_USEC=100000"]
            try ServerProcess.run(.monitoring, mode, workers: mode == .single ? 1 : 2, environment: environment) {
                server in
                #expect(try listener.next() == "READY=1")
                if mode != .single {
                    for id in 0..<2 { #expect(server.starts(of: id) == 1) }  // it is ready when they are
                    server.signal(SIGUSR1)
                    let reloading = try listener.next()
                    #expect(reloading.wholeMatch(of: /RELOADING=1\nMONOTONIC_USEC=\d+/) != nil, "\(reloading)")
                    #expect(try listener.next() == "READY=1")
                    for id in 0..<2 { #expect(server.starts(of: id) == 2) }
                }
                #expect(try listener.next(signsOfLife: true) == "WATCHDOG=1")
                server.signal(SIGTERM)
                #expect(try listener.next() == "STOPPING=1")
                #expect(try server.waitForEnd() == .exit(0))
            }
        }

        /// Without a supervisor at the socket the server serves.
        @Test func aMissingSupervisorIsLogged() throws {
            try ServerProcess.run(.monitoring, .single, environment: ["NOTIFY_SOCKET=/nowhere/notify"]) { server in
                try Wait.until("a line in the log") {
                    server.log.contains(
                        "cannot notify the supervisor at /nowhere/notify: No such file or directory")
                }
            }
        }
    }
}
