// The program that tools and benchmarks drive. Any path accepts WebSocket and echoes text and binary; `GET /hello`
// answers "hello world.", `GET /` a page. It prints one line, `ready PORT PID`, when it accepts.
import SwiftServer

let options = Options(CommandLine.arguments)
let server = WebSocketServer(host: options.host, port: options.port, mode: options.mode)
server.settings.workerCount = options.workers
server.settings.reactorCount = options.reactors
server.settings.maxMessage = options.maxMessage
if options.compress == .yes { server.settings.compression = Compression() }

switch options.handler {
case .callback:
    server.onMessage { server, frame in server.push(frame, to: frame.fd) }
case .span:
    server.onMessage { server, fd, opcode, bytes in server.push(bytes, to: fd, opcode: opcode) }
case .async:
    server.onMessage { (server, frame) async in server.push(frame, to: frame.fd) }
}

server.onRequest { request, response in
    switch request.path {
    case "/hello":
        response.header("Content-Type", "text/plain")
        response.end("hello world.")
    case "/":
        response.header("Content-Type", "text/html; charset=utf-8")
        response.end(page)
    default:
        response.status(404)
        response.end("not found\n")
    }
}

server.onStart { server in print("ready \(server.port) \(server.masterPID)") }

server.serve()
