// Plain TCP: bytes come back as they are on one port, and line by line on another.
import SwiftServer

let server = Server(host: "127.0.0.1", port: 9501)

server.onConnect { server, fd in server.send("hello\n", to: fd) }
server.onReceive { server, fd, bytes in server.send(bytes, to: fd) }
server.onClose { _, fd, reason in print("\(fd) is gone: \(reason)") }

let lines = server.listen(port: 9502)
lines.settings.framing = .endMarker("\n")
lines.onReceive { server, fd, bytes in
    let line = String(decoding: bytes, as: UTF8.self)
    guard line != "quit\n" else {
        server.close(fd)
        return
    }
    server.send("you wrote \(line)", to: fd)
}

server.serve()
