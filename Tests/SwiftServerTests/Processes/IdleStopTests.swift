import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Connections on which nothing is in progress do not delay a stop. The time limits are longer than any test waits.
    @Suite struct IdleStopTests {
        private static func configure(_ configuration: inout Configuration) {
            configuration.closeTimeout = .seconds(60)
            configuration.shutdownTimeout = .seconds(60)
        }

        private func expectStop(_ server: ServerProcess) throws {
            server.signal(SIGTERM)
            #expect(try server.waitForEnd() == .exit(0))
            try server.waitForSilence()
            #expect(!server.log.contains("killed"))
        }

        /// A worker has taken what was sent on other connections when it answers on this one.
        private func settle(_ server: ServerProcess) throws {
            for _ in 0..<3 { #expect(try Connection(port: server.port).get("/").body == "hello") }
        }

        @Test(arguments: ServerMode.supervised, [1, 2])
        func idleConnections(_ mode: ServerMode, _ workers: Int) throws {
            try ServerProcess.run(.behaviour, mode, workers: workers, IdleStopTests.configure) { server in
                let served = try (0..<4).map { _ in try Connection(port: server.port) }
                for client in served { #expect(try client.get("/").body == "hello") }
                let silent = try (0..<4).map { _ in try Connection(port: server.port) }
                let partial = try (0..<4).map { _ in try Connection(port: server.port) }
                for client in partial { try client.send("GET / HTTP/1.1\r\nHost: loc") }
                // Half of the second request of a connection.
                let second = try Connection(port: server.port)
                #expect(try second.get("/").body == "hello")
                try second.send("GET / HT")
                try settle(server)
                try expectStop(server)
                for client in served + silent + partial + [second] {
                    let rest = try client.takeRest()
                    #expect(rest.isEmpty)
                }
            }
        }

        /// A client that has closed in order, but not its side of the TCP connection.
        @Test(arguments: ServerMode.supervised) func finishedConnections(_ mode: ServerMode) throws {
            try ServerProcess.run(.behaviour, mode, IdleStopTests.configure) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                try client.sendClose(1000)
                #expect(try client.receive() == .close(1000, ""))
                let last = try Connection(port: server.port)
                #expect(try last.get("/", fields: "Connection: close\r\n").body == "hello")
                #expect(try last.takeRest().isEmpty)
                try settle(server)
                try expectStop(server)
            }
        }

        #if TLS
        @Test(arguments: ServerMode.supervised) func idleTLSConnections(_ mode: ServerMode) throws {
            let folder = try TLSFolder("one")
            try ServerProcess.run(.behaviour, mode) {
                IdleStopTests.configure(&$0)
                $0.certificate = folder.certificate("one")
            } test: { server in
                let client = try TLSClient(server, folder)
                #expect(try client.ask(.open(name: "idle")) == ["TLSv1.3", "one"])
                #expect(try client.ask(.get(name: "idle", path: "/")) == ["200", "hello"])
                #expect(try client.ask(.open(name: "unused")) == ["TLSv1.3", "one"])
                let silent = try Connection(port: server.port)
                let partial = try Connection(port: server.port)
                try partial.send([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
                #expect(try client.ask(.open(name: "last")) == ["TLSv1.3", "one"])
                #expect(try client.ask(.get(name: "last", path: "/")) == ["200", "hello"])
                try expectStop(server)
                _ = (silent, partial)
            }
        }
        #endif
    }
}
