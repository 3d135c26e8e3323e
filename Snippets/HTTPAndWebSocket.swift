// `curl 'http://127.0.0.1:9501/notify?message=lunch'` reaches every open WebSocket.
import SwiftServer

let server = WebSocketServer(host: "127.0.0.1", port: 9501)

server.onRequest { request, response in
    guard request.path == "/notify", let message = request.query["message"] else {
        response.status(404)
        response.end("try /notify?message=TEXT\n")
        return
    }
    var count = 0
    for fd in server.connections where server.isEstablished(fd) {
        if server.push(message, to: fd).isAccepted { count += 1 }
    }
    response.end("told \(count)\n")
}

server.onMessage { server, frame in
    server.push("this server only tells", to: frame.fd)
}

server.serve()
