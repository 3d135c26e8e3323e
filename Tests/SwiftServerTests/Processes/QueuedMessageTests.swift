import SwiftServer
import SwiftServerTesting
import Testing

extension ProcessTests {
    /// Messages that arrive while another handler of their connection is suspended.
    @Suite struct QueuedMessageTests {
        enum Form: CaseIterable { case frame, span, asynchronous }

        @Test(arguments: Form.allCases) @MainActor
        func waitForTheHandlerOfTheOpening(_ form: Form) async throws {
            let (blocked, gate) = AsyncStream<Void>.makeStream()
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.onOpen { server, request in
                for await _ in blocked { break }
                server.push("open", to: request.fd)
            }
            switch form {
            case .frame: server.onMessage { server, frame in server.push(frame, to: frame.fd) }
            case .span: server.onMessageSpan { $0.push($3, to: $1, opcode: $2) }
            case .asynchronous: server.onMessage { (server, frame) async in server.push(frame, to: frame.fd) }
            }
            try await withServer(server) { client in
                let socket = try await client.webSocket("/")
                try await socket.send("a")
                try await socket.send([1, 2])
                // The messages before it have arrived when it is answered.
                try await socket.ping()
                #expect(try await socket.receive() == .pong([]))
                gate.yield()
                #expect(try await socket.receive() == .text("open"))
                #expect(try await socket.receive() == .text("a"))
                #expect(try await socket.receive() == .binary([1, 2]))
            }
        }
    }
}
