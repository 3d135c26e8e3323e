import SwiftServer
import SwiftServerTesting
import Synchronization
import TestProtocol
import Testing

private typealias AsyncClient = SwiftServer.WebSocketClient

extension ProcessTests {
    /// The pings of asynchronous clients. The server is in the process of the test, where it delivers them to handlers.
    @Suite struct ClientHeartbeatTests {
        /// A server that counts pings, and answers them on "/answers".
        @MainActor private func makeServer(_ pings: Pings) -> WebSocketServer {
            let server = WebSocketServer(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.settings.closeTimeout = .milliseconds(100)
            server.settings.deliversPings = true
            server.handle("/") { request, ws in
                try await ws.upgrade()
                while let frame = try await ws.recv() {
                    guard frame.opcode == .ping else { continue }
                    pings.count += 1
                    if request.path == "/answers" { try await ws.push(frame.bytes, opcode: .pong) }
                    if pings.count == 3 { try await ws.push("three") }
                }
            }
            return server
        }

        @MainActor private final class Pings { var count = 0 }

        @Test @MainActor func anAnsweredPingKeepsTheConnection() async throws {
            let pings = Pings()
            try await withServer(makeServer(pings)) { server in
                let client = try await AsyncClient.connect("ws://127.0.0.1:\(server.port)/answers") {
                    $0.pingInterval = .milliseconds(5)
                    $0.pingTimeout = .seconds(60)
                }
                let frame = try await client.recv(timeout: .seconds(20))
                #expect(frame?.text == "three" && pings.count >= 3)
                #expect(await client.state == .open)
                try await client.close()
            }
        }

        /// The pongs are delivered before what the server has sent after them.
        @Test @MainActor func pongsAreReported() async throws {
            let pongs = Pongs()
            try await withServer(makeServer(Pings())) { server in
                let client = try await AsyncClient.connect("ws://127.0.0.1:\(server.port)/answers") {
                    $0.pingInterval = nil
                    $0.onPong = { payload in pongs.payloads.withLock { $0.append(payload) } }
                }
                for number in [1, 2, 3] as [UInt8] { try await client.ping([number]) }
                let frame = try await client.recv(timeout: .seconds(20))
                #expect(frame?.text == "three" && pongs.payloads.withLock { $0 } == [[1], [2], [3]])
                try await client.close()
            }
            #expect(throws: ClientError.self) {
                _ = try BlockingWebSocket.connect("ws://127.0.0.1:1/") { $0.onPong = { _ in } }
            }
        }

        private final class Pongs: Sendable {
            let payloads = Mutex<[[UInt8]]>([])
        }

        @Test @MainActor func aSilentServerIsFound() async throws {
            let pings = Pings()
            try await withServer(makeServer(pings)) { server in
                let client = try await AsyncClient.connect("ws://127.0.0.1:\(server.port)/silent") {
                    $0.pingInterval = .milliseconds(5)
                    $0.pingTimeout = .milliseconds(50)
                }
                let error = await #expect(throws: ClientError.self) { _ = try await client.recv() }
                #expect(error?.code == .timedOut && pings.count == 1)
                #expect(await client.state == .closed)
                #expect(await client.closeReason?.code == 1006)
            }
        }

        @Test @MainActor func withoutAnIntervalThereAreNoPings() async throws {
            let pings = Pings()
            try await withServer(makeServer(pings)) { server in
                let client = try await AsyncClient.connect("ws://127.0.0.1:\(server.port)/answers") {
                    $0.pingInterval = nil
                }
                try await Task.sleep(for: .milliseconds(50))
                try await client.ping([1])
                try await client.ping([2])
                try await client.ping([3])
                let frame = try await client.recv(timeout: .seconds(20))
                #expect(frame?.text == "three" && pings.count == 3)
                try await client.close()
            }
        }
    }
}
