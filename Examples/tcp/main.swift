// One server, three TCP ports: bytes come back as they are, lines one by one, packets with a length without it.
//   printf 'one\r\ntwo\r\n' | nc 127.0.0.1 9502
import SwiftServer

let server = Server(host: "127.0.0.1", port: 9501)
server.onConnect { _, fd in print("connect \(fd)") }
server.onReceive { (server, fd, bytes: [UInt8]) in server.send(bytes, to: fd) }
server.onClose { _, fd, reason in print("close \(fd): \(reason)") }

let lines = server.listen(port: 9502)
lines.settings.framing = .endMarker("\r\n")
lines.onReceive { (server, fd, bytes: [UInt8]) in
    server.send("line of \(bytes.count) bytes: " + String(decoding: bytes, as: UTF8.self), to: fd)
}

let packets = server.listen(port: 9503)
packets.settings.framing = .length("N", offset: 0, bodyOffset: 4)
packets.settings.maxPacket = 81_920
packets.onReceive { (server, fd, bytes: [UInt8]) in
    server.send(String(decoding: bytes.dropFirst(4), as: UTF8.self) + "\n", to: fd)
}

server.serve()
