import SwiftServer
import TestProtocol
import Testing

extension ProcessTests {
    /// What the server still knows of a connection that has ended, or is being closed.
    @Suite struct GoneTests {
        private static let gone = Event.afterClose(isKnown: false, close: false, push: .closed)

        @Test(arguments: ServerMode.supervised, [false, true])
        func inOnCloseItIsGone(_ mode: ServerMode, _ isAsync: Bool) throws {
            try ServerProcess.run(.behaviour, mode, { $0.isAsync = isAsync }) { server in
                let endings: [(WebSocketClient) throws -> Void] = [
                    { try $0.sendClose(1000) }, { $0.connection.disconnect() }, { $0.connection.reset() },
                    { try $0.send(1, [0xC0]) },
                    {
                        try $0.send(.closeTwice)
                        #expect(try $0.receive() == .close(4000, ""))
                        try $0.sendClose(4000)
                    },
                ]
                for (index, end) in endings.enumerated() {
                    let client = try WebSocketClient(port: server.port, welcome: false)
                    try end(client)
                    #expect(try server.event(.afterClose, index + 1) == GoneTests.gone, "ending \(index)")
                }
            }
        }

        @Test(arguments: ServerMode.supervised, [false, true])
        func whatIsClosedIsClosedAtOnce(_ mode: ServerMode, _ isAsync: Bool) throws {
            try ServerProcess.run(.behaviour, mode, { $0.isAsync = isAsync }) { server in
                let client = try WebSocketClient(port: server.port, welcome: false)
                try client.send(.closeTwice)
                let closed = Event.closedTwice(true, false, push: .closed, exists: true, isEstablished: false)
                #expect(try server.event(.closedTwice) == closed)
                #expect(try client.receive() == .close(4000, ""))
                try client.sendClose(4000)
                #expect(try client.receive() == .end)
                try server.expectClose(code: 4000, cause: .server)
            }
        }

        @Test(arguments: ServerMode.supervised) func streamsToo(_ mode: ServerMode) throws {
            try ServerProcess.run(.behaviour, mode) { server in
                let client = try Connection(port: server.ports[1])
                try client.send("something")
                #expect(try server.event(.closedStream) == .closedStream(true, false, send: .closed))
                #expect(try client.takeRest().isEmpty)
                #expect(try server.event(.afterClose) == GoneTests.gone)
            }
        }
    }
}
