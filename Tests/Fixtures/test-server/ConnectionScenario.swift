import SwiftServer

/// Answers with the object of a connection instead of its id.
@MainActor enum ConnectionScenario {
    static func register(_ server: WebSocketServer) {
        server.onOpen { server, request in
            let connection = server.connection(request.fd)
            connection.push("welcome \(connection.id)")
        }
        server.onMessage { server, frame in
            let connection = server.connection(frame.fd)
            switch frame.text {
            case "request": connection.push(connection.request.map { "\($0.method) \($0.target)" } ?? "none")
            case "info": connection.push(connection.info.map { "\($0.fd) \($0.webSocketStatus)" } ?? "none")
            case "bytes": connection.push([UInt8](frame.text.utf8))
            case "detached":
                Task.detached { print("detached \(connection.push("from elsewhere")) \(connection.exists)") }
            case "send": connection.push("\(connection.send("no stream"))")
            case "close": print("closing \(connection.close(code: 4000, reason: "bye"))")
            default: connection.push(frame.text)
            }
        }
        server.onClose { server, fd, reason in
            let connection = server.connection(fd)
            print("close \(fd) \(reason.code) \(connection.push("late")) \(connection.request == nil)")
        }
        let stream = server.listen(.tcp)
        stream.onReceive { (server: WebSocketServer, fd: ConnectionID, bytes: RawSpan) in
            let connection = server.connection(fd)
            connection.send(bytes)
            connection.send([UInt8](" \(connection == server.connection(connection.id))".utf8))
            connection.close()
        }
        server.onStart { server in
            print("ports \(server.ports.map { String($0.port) }.joined(separator: " "))")
            print("master \(server.connection(ConnectionID(rawValue: 1)).push("nothing"))")
            print("ready \(server.port) \(server.masterPID)")
        }
    }
}
