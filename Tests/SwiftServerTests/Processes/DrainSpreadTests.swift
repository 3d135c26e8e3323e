import Glibc
import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// Stops that close connections over a time.
    @Suite struct DrainSpreadTests {
        @Test(arguments: ServerMode.allCases) func allClientsGetTheCode(_ mode: ServerMode) throws {
            let configure: (inout Configuration) -> Void = {
                $0.drainSpread = .milliseconds(60)
                $0.shutdownCode = 1012
                $0.shutdownTimeout = .seconds(60)
                $0.closeTimeout = .seconds(60)
            }
            try ServerProcess.run(.general, mode, workers: mode == .single ? 1 : 2, configure) { server in
                let clients = try (0..<8).map { _ in try WebSocketClient(port: server.port) }
                server.signal(SIGTERM)
                for client in clients {
                    #expect(try client.receive() == .close(1012, "server shutdown"))
                    try client.sendClose(1012)
                }
                #expect(try server.waitForEnd() == .exit(0))
                #expect(!server.log.contains("killed"))
            }
        }
    }
}
