// Asks a WebSocket server one question: a script that waits for each step.
import SwiftServer

do {
    let socket = try BlockingWebSocket.connect("ws://127.0.0.1:9501/websocket")
    try socket.push("hello server")
    if let frame = try socket.recv(timeout: .seconds(5)) { print(frame.text) }
    try socket.close()
} catch {
    print(error.message)
}
