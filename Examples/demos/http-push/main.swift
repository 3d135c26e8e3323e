// HTTP pushes to all WebSockets: whoever requests /?message=TEXT sends TEXT to every open WebSocket.
//
//   curl 'http://127.0.0.1:9501/?message=hello', while WebSocket clients are connected to the same port.
//
// Common mistakes in this program: not to end the response, and to push to every connection, that of the HTTP request
// included. This one answers, and `broadcast` addresses open WebSockets only.
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = WebSocketServer(host: "127.0.0.1", port: port)

server.onMessage { server, frame in
    server.push("received: \(frame.text)", to: frame.fd)
}

server.onRequest { request, response in
    guard let message = request.query["message"] else {
        response.status(400)
        response.end("usage: /?message=TEXT\n")
        return
    }
    server.broadcast(message)
    response.end("sent to all\n")
}

server.onStart { print("listening on http://127.0.0.1:\($0.port)/ and ws://127.0.0.1:\($0.port)/") }
server.serve()
