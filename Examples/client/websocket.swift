import SwiftServer

#if canImport(Glibc)
import Glibc
#elseif canImport(Musl)
import Musl
#endif

/// Waits for each step, as scripts do.
func ask(_ url: String, _ text: String) throws {
    let socket = try BlockingWebSocket.connect(url)
    try socket.push(text)
    if let frame = try socket.recv(timeout: .seconds(5)) { print(frame.text) }
    try socket.close()
}

/// Goes on over reconnects, until the server closes with code 1000.
func listen(_ url: String, _ text: String?) async throws {
    let client = try await WebSocketClient.connect(url) {
        $0.reconnects = .exponential(from: .milliseconds(100), upTo: .seconds(10), attempts: 20)
    }
    if let text { try await client.push(text) }
    for try await frame in client.frames {
        print(frame.text)
        fflush(nil)  // also when the output is a pipe
    }
}
