import SwiftServer
import Testing

extension ProcessTests {
    /// Clients of a listener whose queue is full: the system does not answer them.
    @Suite struct ConnectTimeoutTests {
        @Test func connectionsThatDoNotOpen() async throws {
            try await ClientRun.alone {
                let listener = try FullListener()
                defer { withExtendedLifetime(listener) {} }
                let address = "127.0.0.1:\(listener.port)"
                try ClientRun.wait {
                    let client = HTTPClient {
                        $0.connectTimeout = .milliseconds(50)
                        $0.readTimeout = nil
                    }
                    let first = await #expect(throws: ClientError.self) {
                        _ = try await client.get("http://\(address)/")
                    }
                    #expect(first?.code == .timedOut, "\(first?.message ?? "")")
                    let second = await #expect(throws: ClientError.self) {
                        _ = try await SwiftServer.WebSocketClient.connect("ws://\(address)/") {
                            $0.connectTimeout = .milliseconds(50)
                        }
                    }
                    #expect(second?.code == .timedOut, "\(second?.message ?? "")")
                }
            }
        }
    }
}
