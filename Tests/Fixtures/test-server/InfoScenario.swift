import Glibc
import SwiftServer
import TestProtocol

/// What can be asked about connections and requests, and commands to single connections. Messages are a word and the id
/// of a connection.
@MainActor enum InfoScenario {
    /// Messages by connection.
    private static var counts: [ConnectionID: Int] = [:]

    static func register(_ server: WebSocketServer) {
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onMessage { server, frame in
            counts[frame.fd, default: 0] += 1
            let words = frame.text.split(separator: " ", maxSplits: 1).map(String.init)
            let other = words.count > 1 ? UInt64(words[1]).map(ConnectionID.init(rawValue:)) : nil
            let fd = other ?? frame.fd
            switch words[0] {
            case "pause": answer("\(server.pause(fd))")
            case "resume": answer("\(server.resume(fd))")
            case "count": answer("\(counts[fd] ?? 0)")
            case "reset": answer("\(server.close(fd, reset: true))")
            case "bind": answer("\(server.bind(frame.fd, to: Int(words[1])!))")
            case "refused": answer(refused(frame.fd, server))
            case "ping": answer("\(server.ping(frame.fd, [1, 2]))")
            case "protect": answer("\(server.protect(fd))")
            case "silent": answer("\(server.heartbeat(idle: .zero, closes: false).count)")
            case "unlimited": answer("\(server.heartbeat().count)")
            case "heartbeat": answer("\(server.heartbeat(idle: .zero).count)")
            case "title": answer("\(server.setProcessTitle(words[1])) \(server.setProcessTitle(""))")
            case "listener": answer(listener(server.connectionInfo(fd)))
            default: answer(frame.text)
            }
            func answer(_ text: String) { server.push(text, to: frame.fd) }
        }
        server.onClose { server, fd, reason in
            let now = server.connectionInfo(fd)
            guard let last = server.connectionInfo(fd, ignoringClose: true) else { return }
            let isSame = last.fd == fd && last.serverPort == server.port
            let errno = last.closeErrno == reason.errno
            Event.outcome(
                "\(now == nil) \(last.isClosed) \(last.webSocketStatus) \(last.remoteAddress) \(isSame) \(errno)"
            ).report()
            Event.outcome("\(reason.cause), errno \(reason.errno)").report()
        }
        server.onRequest { request, response in
            let isRecent = abs(request.time - Double(Glibc.time(nil))) < 60
            response.end(
                """
                \(request)|\(request.httpVersion)|\(request.scheme)|\(request.remoteAddress ?? "?")\
                |\(request.serverPort == server.port)|\(request.remotePort ?? 0)|\(isRecent)\
                |\(request.decodedPath ?? "?")|\(String(decoding: request.raw, as: UTF8.self))\
                |\(request.localAddress ?? "?")|\(request.localAddress == request.connectionInfo?.localAddress)
                """)
        }
        serveFiles(server)
        let sized = server.listen(.tcp)
        sized.settings.framing = .function { bytes in
            let first = unsafe bytes.withUnsafeBytes { unsafe $0[0] }
            return first == 0xFF ? .invalid : .bytes(Int(first))
        }
        sized.onReceive { (server: WebSocketServer, fd: ConnectionID, bytes: [UInt8]) in
            server.send([UInt8(bytes.count)] + bytes, to: fd)
        }
        sized.onClose { server, fd, reason in Event.outcome("sized \(reason.cause)").report() }
    }

    /// The results of commands that cannot be carried out, and the same commands as conditions.
    private static func refused(_ fd: ConnectionID, _ server: WebSocketServer) -> String {
        let gone = ConnectionID(rawValue: 4_000_000_000)
        let results: [CommandResult] = [
            server.close(gone), server.close(gone, reset: true), server.pause(gone), server.resume(gone),
            server.protect(gone), server.bind(gone, to: 1), server.connection(gone).close(),
            server.close(fd, code: 999), server.bind(fd, to: 0),
        ]
        let conditions: [Bool] = [
            server.close(gone), server.close(gone, reset: true), server.pause(gone), server.resume(gone),
            server.protect(gone), server.bind(gone, to: 1), server.connection(gone).close(),
            server.close(fd, code: 999), server.bind(fd, to: 0),
        ]
        precondition(!conditions.contains(true) && !results.contains { $0.isAccepted })
        return results.map(\.description).joined(separator: " ")
    }

    /// A port whose packets are the path of a file, which is sent.
    private static func serveFiles(_ server: WebSocketServer) {
        let files = server.listen(.tcp)
        files.settings.framing = .endMarker("\n")
        files.settings.maxQueue = 256 << 10
        files.onReceive { (server: WebSocketServer, fd: ConnectionID, bytes: [UInt8]) async in
            let words = String(decoding: bytes.dropLast(), as: UTF8.self).split(separator: " ").map(String.init)
            do {
                let result = try await server.sendFile(
                    words[0], to: fd, offset: words.count > 1 ? Int(words[1]) ?? 0 : 0,
                    length: words.count > 2 ? Int(words[2]) : nil)
                Event.outcome("\(result)").report()
                server.send("end", to: fd)
            } catch {
                Event.outcome("\(error)").report()
                server.send("\(error)", to: fd)
            }
            server.close(fd)
        }
    }

    /// Whether the descriptor is that of a listening socket, where it is open in this process.
    private static func listener(_ info: ConnectionInfo?) -> String {
        guard let descriptor = info?.serverDescriptor else { return "none" }
        var value: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        let result = unsafe getsockopt(descriptor, SOL_SOCKET, SO_ACCEPTCONN, &value, &size)
        return result == 0 && value == 1 ? "listening" : "elsewhere \(descriptor > 0)"
    }
}
