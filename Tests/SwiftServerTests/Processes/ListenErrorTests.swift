import Foundation
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// What is in the way of listening, and what stays behind when it fails.
    @Suite struct ListenErrorTests {
        /// Checks the error of a server that cannot listen.
        private func expect(
            _ words: String, _ mode: ServerMode, _ scenario: Scenario = .general,
            _ configure: (inout Configuration) -> Void
        ) throws {
            let server = try ServerProcess.runFailing(scenario, mode, workers: 2, configure)
            #expect(server.end == .exit(3))
            let (code, message) = try server.onlyError()
            #expect(code == .bindFailed && message.hasPrefix("cannot listen on "), "\(message)")
            #expect(message.contains(words), "\(message)")
        }

        @Test(arguments: ServerMode.supervised) func whatIsInTheWayOfAUnixSocket(_ mode: ServerMode) throws {
            let folder = try Folder()
            folder.write("content", to: "file")
            try expect("a file that is not a socket has this path", mode) { $0.host = "unix:\(folder.file("file"))" }
            #expect(folder.text("file") == "content")
            try expect("the folder does not exist", mode) { $0.host = "unix:\(folder.path)/no/socket" }
            let long = String(repeating: "x", count: 120)
            try expect("the path is longer than 107 bytes", mode) { $0.host = "unix:/tmp/\(long)" }
            let socket = folder.file("socket")
            try ServerProcess.run(.ports, mode, { $0.unixSocket = socket }) { _ in
                try expect("another program listens there", mode) { $0.host = "unix:\(socket)" }
            }
        }

        @Test(arguments: ServerMode.supervised) func badAddresses(_ mode: ServerMode) throws {
            try expect("port 0: the name has no address: ", mode) { $0.host = "a..b" }
            try expect("host is not an address of this machine", mode) { $0.host = "192.0.2.1" }
        }

        /// The socket was bound, and the PID file locked, before a later port failed.
        @Test(arguments: ServerMode.supervised) func nothingStaysBehind(_ mode: ServerMode) throws {
            let folder = try Folder()
            folder.write("content", to: "file")
            try expect("a file that is not a socket has this path", mode, .ports) {
                $0.host = "unix:\(folder.file("first"))"
                $0.unixSocket = folder.file("file")
                $0.pidFile = folder.file("pid")
            }
            let left = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            #expect(left == ["file"])
        }

        /// Another program of the same user may bind the port of a server in base mode, but gets no connection.
        @Test(arguments: ServerMode.supervised) func aStolenPortGetsNothing(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, workers: 3) { server in
                let thief = try? PortUser(port: server.port, shared: true)
                #expect(mode == .base || thief == nil)
                for _ in 0..<40 {
                    let response = try Connection(port: server.port).get("/")
                    #expect(response.body == "hello")
                }
                withExtendedLifetime(thief) {}
            }
        }
    }
}
