// Listens to a WebSocket server, and connects again when the connection is lost.
import SwiftServer

let client = try await WebSocketClient.connect("ws://127.0.0.1:9501/websocket") {
    $0.reconnects = .exponential(from: .seconds(1), upTo: .seconds(30))
    $0.onState = { print("the client is \($0)") }
}
try await client.push("hello server")
for try await frame in client.frames {
    print(frame.text)
}
