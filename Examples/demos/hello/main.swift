// A WebSocket server that prints its events and answers every message with JSON.
//
//   ./dev demo hello, and in the console of any browser page of this machine:
//   ws = new WebSocket("ws://127.0.0.1:9501"); ws.onmessage = e => console.log(JSON.parse(e.data)); ws.send("hi")
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
struct Answer: Codable {
    let received: String
    let connection: UInt64
}

let server = WebSocketServer(host: "127.0.0.1", port: port)

server.onOpen { server, request in
    print("open \(request.fd) \(request.path)")
}

server.onMessage { server, frame in
    print("message of \(frame.fd): \(frame.text), opcode \(frame.opcode), finish \(frame.finish)")
    guard let answer = try? JSONFormat.standard.encode(Answer(received: frame.text, connection: frame.fd.rawValue))
    else { return }
    server.push(answer, to: frame.fd, opcode: .text)
}

server.onClose { server, fd, reason in
    print("close \(fd): \(reason)")
}

server.onStart { print("listening on ws://127.0.0.1:\($0.port)/") }
server.serve()
