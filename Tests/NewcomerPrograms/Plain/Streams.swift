// Programs of TCP, UDP and several ports.
import SwiftServer

@MainActor enum Streams {
    static func echo() -> Server {
        let server = Server(port: 0, mode: .single)
        server.onReceive { server, fd, bytes in server.send(bytes, to: fd) }
        return server
    }

    static func closing() -> Server {
        let server = Server(port: 0, mode: .single)
        server.onReceive { server, fd, _ in server.close(fd) }
        return server
    }

    static func nothing() -> Server {
        let server = Server(port: 0, mode: .single)
        server.onReceive { _, _, _ in }
        return server
    }

    static func lines() -> Server {
        let server = Server(port: 0, mode: .single)
        server.ports[0].settings.framing = .endMarker("\n")
        server.onConnect { server, fd in server.send("hello\n", to: fd) }
        server.onReceive { server, fd, bytes in
            let line = String(decoding: bytes, as: UTF8.self)
            server.send("line: \(line)", to: fd)
        }
        server.onClose { server, fd, reason in print("\(fd): \(reason)") }
        return server
    }

    static func asynchronous() -> Server {
        let server = Server(port: 0, mode: .single)
        server.onConnect { server, fd in
            await server.sleep(for: .milliseconds(1))
            server.send("220 ready\r\n", to: fd)
        }
        server.onReceive { server, fd, bytes in
            await server.sleep(for: .milliseconds(1))
            server.send(bytes, to: fd)
        }
        return server
    }

    static func throwing() -> Server {
        let server = Server(port: 0, mode: .single)
        server.settings.logLevel = .none
        server.onReceive { server, fd, bytes in
            guard bytes.count < 10 else { throw Refused() }
            server.send("ok", to: fd)
        }
        return server
    }

    static func borrowedBytes() -> Server {
        let server = Server(port: 0, mode: .single)
        server.onReceiveSpan { server, fd, bytes in server.send(bytes, to: fd) }
        return server
    }

    static func datagrams() -> Server {
        let server = Server(port: 0, mode: .single)
        server.onReceive { _, _, _ in }
        let udp = server.listen(.udp)
        udp.onPacket { server, bytes, sender in server.send(bytes, to: sender) }
        return server
    }

    static func severalPorts() -> WebSocketServer {
        let server = WebSocketServer(port: 0, mode: .single)
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        let admin = server.listen(.tcp)
        admin.onConnect { server, fd in server.send("\(server.connections.count)\n", to: fd) }
        admin.onReceive { server, fd, bytes in
            server.broadcast(String(decoding: bytes, as: UTF8.self))
            server.close(fd)
        }
        let pages = server.listen(.http)
        pages.onRequest { request, response in response.end("page") }
        let other = server.listen(.webSocket)
        other.onOpen { server, request in server.push("other", to: request.fd) }
        other.onMessage { server, frame in server.push("other \(frame.text)", to: frame.fd) }
        return server
    }

    static func backPressure() -> Server {
        let server = Server(port: 0, mode: .single)
        var waiting: Set<ConnectionID> = []
        server.onReceive { server, fd, bytes in
            if server.send(bytes, to: fd) == .full { waiting.insert(fd) }
        }
        server.onDrain { server, fd in
            if waiting.remove(fd) != nil { server.send("more", to: fd) }
        }
        return server
    }
}
