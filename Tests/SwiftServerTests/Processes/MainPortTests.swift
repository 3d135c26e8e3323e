import Foundation
import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Kinds of a server's own port, and what the log says of ports.
    @Suite struct MainPortTests {
        @Test(arguments: ServerMode.allCases) func itMayBeForDatagrams(_ mode: ServerMode) throws {
            try ServerProcess.run(.datagrams, mode, workers: mode == .single ? 1 : 2) { server in
                let client = try Connection.datagrams(port: server.port)
                for index in 0..<3 {
                    try client.send("\(index)")
                    #expect(try client.take(6) == [UInt8]("echo \(index)".utf8))
                }
                #expect(server.log.contains("listening on 127.0.0.1 port \(server.port), "))
            }
        }

        @Test(arguments: ServerMode.allCases) func itMayBeAUnixSocket(_ mode: ServerMode) throws {
            let path = NSTemporaryDirectory() + "main-port.\(getpid()).\(mode.rawValue)"
            try ServerProcess.run(.general, mode, { $0.host = "unix:\(path)" }) { server in
                let client = WebSocketClient(try Connection.local(path: path))
                try client.connection.send(WebSocketClient.handshake)
                try client.finishHandshake()
                try client.takeWelcome()
                #expect(try client.ask("hello") == "hello")
                #expect(server.log.contains("listening on unix:\(path), "))
            }
        }

        @Test(arguments: ServerMode.allCases) func namesAreLookedUp(_ mode: ServerMode) throws {
            try ServerProcess.run(.general, mode, { $0.host = "localhost" }) { server in
                let client = try WebSocketClient(port: server.port)
                #expect(try client.ask("hello") == "hello")
                #expect(server.log.contains("listening on localhost port \(server.port), "))
            }
        }

        @Test func allPortsAreListed() throws {
            try ServerProcess.run(.ports, .process) { server in
                let ports = server.ports
                #expect(
                    server.log.contains(
                        "listening on 127.0.0.1 port \(ports[0]), tcp 127.0.0.1 port \(ports[1]), tcp 127.0.0.1 port "))
                #expect(server.log.contains(", udp 127.0.0.1 port \(ports[5]), tcp ::1 port \(ports[6]), "))
            }
        }
    }
}
