// A TCP server that answers what it receives.
//
//   printf 'hello' | nc -N 127.0.0.1 9501
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = Server(host: "127.0.0.1", port: port)
server.settings.workerCount = 2

server.onConnect { server, fd in print("connect \(fd) in worker \(server.workerID)") }

server.onReceive { (server, fd, bytes: [UInt8]) in
    print("receive \(bytes.count) bytes of \(fd) in worker \(server.workerID)")
    server.send("hello server " + String(decoding: bytes, as: UTF8.self), to: fd)
}

server.onClose { server, fd, reason in print("close \(fd): \(reason)") }

server.onStart { print("listening on 127.0.0.1:\($0.port)") }
server.serve()
