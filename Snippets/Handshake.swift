// Decides before the handshake who may open a WebSocket. Try `websocat 'ws://127.0.0.1:9501/?token=letmein'`, and with
// another token.
import SwiftServer

let users = ["letmein": (id: 1, name: "alice"), "sesame": (id: 2, name: "bob")]

let server = WebSocketServer(host: "127.0.0.1", port: 9501)

server.onHandshake { request, handshake in
    guard let user = users[request.query["token"] ?? ""] else {
        handshake.header("WWW-Authenticate", "Bearer")
        return handshake.refuse(status: 401, body: "who are you?")
    }
    try handshake.accept(userData: [UInt8](user.name.utf8), userID: user.id)
}

server.onMessage { server, frame in
    // The name stays with the connection, also when its worker was replaced meanwhile.
    guard let info = server.connectionInfo(frame.fd) else { return }
    server.push("\(String(decoding: info.userData, as: UTF8.self)): \(frame.text)", to: frame.fd)
}

server.serve()
