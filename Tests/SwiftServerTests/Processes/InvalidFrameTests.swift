import CReactor
import SwiftServer
import SwiftServerTesting
import Testing

private typealias AsyncClient = SwiftServer.WebSocketClient

extension ProcessTests {
    /// Asynchronous clients of a server that sends an invalid frame.
    @Suite struct InvalidFrameTests {
        /// A server that accepts a handshake by hand and sends "hi" and an invalid frame with the response.
        @MainActor private func makeServer(_ received: Received) -> Server {
            let server = Server(port: 0, mode: .single)
            server.settings.logLevel = .none
            server.onReceive { server, fd, bytes in
                let text = String(decoding: bytes, as: UTF8.self)
                guard let key = text.firstRange(of: "Sec-WebSocket-Key: ")?.upperBound else {
                    received.bytes += bytes
                    return
                }
                var accept = [CChar](repeating: 0, count: Int(CRE_WS_ACCEPT_LENGTH) + 1)
                unsafe Array(text[key...].utf8.prefix(24)).withUnsafeBufferPointer {
                    unsafe cre_ws_accept($0.baseAddress, &accept)
                }
                let value = String(decoding: accept.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
                let head =
                    "HTTP/1.1 101 x\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: \(value)"
                server.send([UInt8]("\(head)\r\n\r\n".utf8) + [0x81, 2, 104, 105, 0x83, 0], to: fd)
            }
            return server
        }

        @MainActor private final class Received { var bytes: [UInt8] = [] }

        @Test @MainActor func messagesBeforeItAreAnswered() async throws {
            let received = Received()
            try await withServer(makeServer(received)) { server in
                let client = try await AsyncClient.connect("ws://127.0.0.1:\(server.port)/")
                let frame = try await client.recv(timeout: .seconds(20))
                #expect(frame?.text == "hi")
                try await client.push("hi")
                let error = await #expect(throws: ClientError.self) { _ = try await client.recv(timeout: .seconds(20)) }
                #expect(error != nil)
                #expect(await client.state == .closed)
                #expect(await client.closeReason?.code == 1002)
            }
            // A text of two bytes with its mask, and the close frame.
            #expect(received.bytes.count > 9 && received.bytes[0] == 0x81 && received.bytes[1] == 0x82)
            #expect(received.bytes.count > 9 && received.bytes[8] == 0x88)
        }
    }
}
