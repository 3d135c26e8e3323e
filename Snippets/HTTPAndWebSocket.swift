// `curl 'http://127.0.0.1:9501/notify?message=lunch'` reaches every open WebSocket.
import SwiftServer

let server = WebSocketServer(host: "127.0.0.1", port: 9501)

server.onRequest { request, response in
    guard request.path == "/notify", let message = request.query["message"] else {
        response.status(404)
        response.end("try /notify?message=TEXT\n")
        return
    }
    server.broadcast(message)
    response.end("sent to all\n")
}

server.onMessage { server, frame in
    server.push("this server only sends", to: frame.fd)
}

server.serve()
