// Echoes each message and greets over HTTP, on one port.
import SwiftServer

let server = WebSocketServer(host: "127.0.0.1", port: 9501)
server.settings.workerCount = 2

server.onOpen { server, request in
    server.push("Hello, you are connection \(request.fd)", to: request.fd)
}

server.onMessage { server, frame in
    server.push(frame, to: frame.fd)
}

server.onClose { server, fd, reason in
    print("\(fd) is gone: \(reason)")
}

server.onRequest { request, response in
    response.end("This is \(request.path), and there are \(server.connections.count) connections.\n")
}

server.serve()
