// A WebSocket server without `onRequest`: a plain HTTP request gets status 400, and bytes that are no HTTP never reach
// `onMessage`.
//
//   curl -i http://127.0.0.1:9501/
//   printf 'hello\r\n\r\n' | nc 127.0.0.1 9501
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = WebSocketServer(host: "127.0.0.1", port: port)
server.onMessage { server, frame in server.push(frame, to: frame.fd) }
server.onStart { print("listening on ws://127.0.0.1:\($0.port)/") }
server.serve()
