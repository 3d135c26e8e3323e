// Counts down from the number that a client sends, one push a second. While this handler sleeps, the worker serves its
// other connections; further messages of the same connection are queued until it returns.
import SwiftServer

let server = WebSocketServer(host: "127.0.0.1", port: 9501)

server.onMessage { server, frame in
    guard let count = Int(frame.text), (1...60).contains(count) else {
        server.push("a number from 1 to 60, please", to: frame.fd)
        return
    }
    for number in stride(from: count, to: 0, by: -1) {
        // A client that leaves is no error: the result reports it.
        guard server.push("\(number)", to: frame.fd).isAccepted else { return }
        await server.sleep(for: .seconds(1))
    }
    server.push("done", to: frame.fd)
}

server.serve()
