// One function per connection, from its request to its end: a WebSocket on one path, a page on all others.
import SwiftServer

let server = WebSocketServer(host: "127.0.0.1", port: 9501)

server.handle("/websocket") { request, ws in
    guard request.query["token"] == "secret" else {
        ws.status(401)
        ws.end("who are you?\n")
        return
    }
    try await ws.upgrade()
    while let frame = try await ws.recv(timeout: .seconds(60)) {
        if frame.text == "close" { break }
        try await ws.push("Hello \(frame.text)!")
        try await ws.push("How are you, \(frame.text)?")
    }
}

server.handle("/") { request, response in
    response.header("Content-Type", "text/html; charset=utf-8")
    response.end("<h1>Hello</h1>")
}

server.serve()
