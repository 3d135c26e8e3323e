// TCP is a stream: without a framing, `onReceive` may get half a message or three. Three ports, three framings.
//
//   end marker, check     printf 'one\r\ntwo\r\nthree\r\n' | nc 127.0.0.1 9501
//                         delivers when the data ends with the marker: here one, two or three messages at once
//   end marker, split     printf 'one\r\ntwo\r\nthree\r\n' | nc 127.0.0.1 9502        exactly one message at a time
//   length                printf '\0\0\0\3one\0\0\0\5three' | nc 127.0.0.1 9503
//                         four bytes with the length of the body, which is at most 81,920 bytes with its header
import SwiftServerJSON

let port = CommandLine.arguments.dropFirst().first.flatMap { Int($0) } ?? 9501
let server = Server(host: "127.0.0.1", port: port)
server.ports[0].settings.framing = .endMarkerCheck("\r\n")
server.onReceive { (server, fd, bytes: [UInt8]) in
    let messages = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
    server.send("check: \(messages.joined(separator: ","))\n", to: fd)
}

let lines = server.listen(port: port == 0 ? 0 : port + 1)
lines.settings.framing = .endMarker("\r\n")
lines.onReceive { (server, fd, bytes: [UInt8]) in
    // The marker is delivered, too.
    server.send("split: \(String(decoding: bytes.dropLast(2), as: UTF8.self))\n", to: fd)
}

let packets = server.listen(port: port == 0 ? 0 : port + 2)
packets.settings.framing = .length("N", offset: 0, bodyOffset: 4)
packets.settings.maxPacket = 81_920
packets.onReceive { (server, fd, bytes: [UInt8]) in
    // The header is delivered, too.
    server.send("length: \(String(decoding: bytes.dropFirst(4), as: UTF8.self))\n", to: fd)
}

server.onStart { server in
    print("listening on 127.0.0.1:" + server.ports.map { String($0.port) }.joined(separator: " and 127.0.0.1:"))
}
server.serve()
