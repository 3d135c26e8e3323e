import SwiftServer
import TestProtocol

/// A WebSocket server with further ports of every kind.
@MainActor enum PortScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        Scenarios.reportClosing(server)
        let raw = server.listen(.tcp)
        raw.onConnect { _, fd in Event.connect(fd).report() }
        raw.onReceiveSpan { server, fd, bytes in server.send(bytes, to: fd) }
        raw.onClose { _, fd, reason in Event.gone(fd, reason.code, reason.cause, reason.text).report() }

        let lines = server.listen(.tcp)
        lines.settings.framing = .endMarker("\r\n")
        lines.settings.maxPacket = 100
        lines.onReceive { server, fd, bytes in server.send([UInt8("<".utf8.first!)] + bytes, to: fd) }

        let sized = server.listen(.tcp)
        sized.settings.framing = .length("N", offset: 0, bodyOffset: 4)
        sized.onReceive { (server, fd, bytes) async in
            await server.sleep(for: .milliseconds(1))
            server.send(String(decoding: bytes.dropFirst(4), as: UTF8.self) + ";", to: fd)
        }

        let push = server.listen(.tcp)
        push.onReceive { server, fd, bytes in
            let text = String(decoding: bytes, as: UTF8.self)
            for other in server.connections where server.isEstablished(other) { server.push(text, to: other) }
            let web = server.connections.first { server.isEstablished($0) }
            Task.detached {
                guard let web else { return }
                Event.wrongKindElsewhere(server.send(text, to: web), server.send("", to: fd)).report()
            }
            Event.wrongKind(
                push: server.push(text, to: fd), send: server.send(text, to: ConnectionID(rawValue: 1 << 40))
            ).report()
        }

        let packets = server.listen(.udp)
        packets.onPacket { server, bytes, sender in
            Event.packet(host: sender.host, size: bytes.count).report()
            server.send(bytes, to: sender)
        }
        let six = server.listen(host: "::1", .tcp)
        six.onReceive { server, fd, bytes in server.send(bytes, to: fd) }
        let pages = server.listen(.http)
        pages.onRequest { _, response in response.end("page") }
        if let path = configuration.unixSocket {
            let local = server.listen(host: "unix:\(path)", .tcp)
            local.onReceive { server, fd, bytes in server.send(bytes, to: fd)
            }
        }
    }
}
