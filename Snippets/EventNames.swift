// Handlers by the names of their events, in any letter case. A closure names the types of its arguments where they do
// not follow from its code.
import SwiftServer

let server = WebSocketServer(host: "127.0.0.1", port: 9501)

server.on("Open") { (server, request: Request) in
    server.push("Hello, you are connection \(request.fd)", to: request.fd)
}
server.on("Message") { server, frame in
    server.push(frame, to: frame.fd)
}
server.on("Close") { (server, fd: ConnectionID, reason: CloseReason) in
    print("\(fd) is gone: \(reason)")
}
server.on("Request") { request, response in
    response.end("This is \(request.path).\n")
}

// An unknown name, and a closure of another form, are errors here: `on("Mesage"): there is no such event; did you mean
// "message"?`
server.serve()
