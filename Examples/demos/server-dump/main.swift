// What a server and a connection know about themselves, sent to each WebSocket that connects.
//
//   In a browser's console: ws = new WebSocket("ws://127.0.0.1:9501"); ws.onmessage = e => console.log(e.data)
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = WebSocketServer(host: "127.0.0.1", port: port)
server.settings.workerCount = 1

server.onOpen { server, request in
    var lines = [
        "server \(server.host):\(server.port), mode \(server.mode), \(server.ports[0].type)",
        "master \(server.masterPID), manager \(server.managerPID)",
        "worker \(server.workerID), pid \(server.workerPID), task worker: \(server.isTaskWorker)",
    ]
    lines += server.ports.map { "port \($0.index): \($0.host):\($0.port), \($0.type)" }
    lines += server.options.sorted { $0.key < $1.key }.map { "option \($0.key) = \($0.value)" }
    if let info = server.connectionInfo(request.fd) {
        lines += [
            "connection \(info.fd): WebSocket status \(info.webSocketStatus.rawValue), socket type \(info.socketType)",
            "from \(info.remoteAddress):\(info.remotePort) to port \(info.serverPort), reactor \(info.reactorID ?? -1)",
            "connected at \(info.connectTime), last received at \(info.lastReceiveTime)",
        ]
    }
    server.push(lines.joined(separator: "\n"), to: request.fd)
}

server.onMessage { server, frame in server.push(frame, to: frame.fd) }
server.onStart { print("listening on ws://127.0.0.1:\($0.port)/") }
server.serve()
