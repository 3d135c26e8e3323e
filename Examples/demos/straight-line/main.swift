// One function per connection that reads from top to bottom, and a page for it.
//
//   Open http://127.0.0.1:9501/ in a browser. The text "close" closes the connection.
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = WebSocketServer(host: "127.0.0.1", port: port)

server.handle("/websocket") { request, ws in
    try await ws.upgrade()
    do {
        // `nil`: the client has closed the connection, with `ws.closeReason`.
        while let frame = try await ws.recv(timeout: .seconds(60)) {
            if frame.text == "close" { break }
            try await ws.push("Hello \(frame.text)!")
            try await ws.push("How are you, \(frame.text)?")
        }
    } catch WebSocketError.timedOut {
        print("\(ws.id) has sent nothing for a minute")
    }
    ws.close()
    print("\(ws.id) is done")
}

// Any other path.
server.handle("/") { request, ws in
    ws.header("Content-Type", "text/html; charset=utf-8")
    ws.end(page)
}

server.onStart { print("listening on http://127.0.0.1:\($0.port)/") }
server.serve()
