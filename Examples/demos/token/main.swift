// Only clients with a valid token may stay: ws://127.0.0.1:9501/?uid=1&token=TOKEN. Others are closed in `onOpen`, so
// they see an open WebSocket and then its close with code 1008.
//
//   Open http://127.0.0.1:9501/?uid=1. The page gets a token, connects, and connects again after a restart.
//
// A token like md5(md5(uid) + key) with a key in the source is valid for ever, and its hash is broken. This one signs
// the uid and the time at which the token expires by HMAC-SHA256, with the key from the environment variable
// TOKEN_KEY, or a random one.
//
// A real application issues a token after a login. This page issues one to everybody.
import Glibc
import SwiftServerJSON
import Tokens

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
// Made before the workers start, so that all have the same.
let tokens = Tokens(key: environment("TOKEN_KEY"))

let server = WebSocketServer(host: "127.0.0.1", port: port)

server.onOpen { server, request in
    guard let user = request.query["uid"], let token = request.query["token"],
        tokens.isValid(token, user: user, now: time(nil))
    else {
        server.close(request.fd, code: 1008, reason: "no valid token")
        return
    }
    server.push("Server: welcome \(user)", to: request.fd)
}

server.onMessage { server, frame in
    server.push("Server: \(frame.text)", to: frame.fd)
}

server.onRequest { request, response in
    switch request.path {
    case "/":
        response.header("Content-Type", "text/html; charset=utf-8")
        response.end(page)
    case "/token":
        response.end(tokens.token(user: request.query["uid"] ?? "", expires: time(nil) + 3600))
    default:
        response.status(404)
        response.end("not found\n")
    }
}

server.onStart { print("listening on http://127.0.0.1:\($0.port)/?uid=1") }
server.serve()
