// A server and a test of it, as a program. In a test target the second half is the body of a test function.
import SwiftServerTesting

// The program's own code: handlers and settings of a server that somebody else makes.
func configure(_ server: WebSocketServer) {
    server.onMessage { server, frame in server.push("Hello \(frame.text)!", to: frame.fd) }
    server.onRequest { request, response in response.end("this is \(request.path)") }
}

let server = WebSocketServer(port: 0, mode: .single)
configure(server)

try await withServer(server) { client in
    let page = try await client.get("/page")
    precondition(page.status == 200 && page.body == "this is /page")

    let socket = try await client.webSocket("/chat")
    let answer = try await socket.ask("World")
    precondition(answer == "Hello World!")

    // Frames need not be valid: the server closes with a protocol error.
    try await socket.send(frame: 1, [65], masked: false)
    let end = try await socket.receive()
    precondition(end == .close(1002, ""))
    precondition(client.log.errors.isEmpty)
}
print("passed")
