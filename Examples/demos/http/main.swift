// HTTP: a greeting, and what a request contains.
//
//   curl http://127.0.0.1:9501/
//   curl -d 'some body' -b 'user=ada' 'http://127.0.0.1:9501/dump?a=1&b=2'
//
// The file nginx.conf beside this one puts nginx in front, also for WebSockets: /ws echoes.
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = WebSocketServer(host: "127.0.0.1", port: port)

server.onRequest { request, response in
    response.header("Content-Type", "text/plain; charset=utf-8")
    guard request.path == "/dump" else {
        response.end("hello world.\n")
        return
    }
    var lines = ["\(request.method) \(request.target), connection \(request.fd)"]
    lines += request.header.map { "header \($0.name): \($0.value)" }
    // The query is absent, not empty, when the target has no "?".
    lines += request.queryString == nil ? ["no query"] : request.query.map { "query \($0.name) = \($0.value)" }
    lines += request.cookies.sorted { $0.key < $1.key }.map { "cookie \($0.key) = \($0.value)" }
    lines.append("body \(String(decoding: request.body, as: UTF8.self))")
    response.end(lines.joined(separator: "\n") + "\n")
}

server.onMessage { server, frame in server.push(frame, to: frame.fd) }

server.onStart { print("listening on http://127.0.0.1:\($0.port)/") }
server.serve()
