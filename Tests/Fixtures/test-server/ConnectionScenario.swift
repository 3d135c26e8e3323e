import SwiftServer
import TestProtocol

/// Answers with the object of a connection instead of its id.
@MainActor enum ConnectionScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        server.onOpen { server, request in
            server.connection(request.fd).push(encoded(Welcome(server.connection(request.fd).id, server)))
        }
        server.onMessage { server, frame in
            let connection = server.connection(frame.fd)
            func answer(_ value: some Encodable) { connection.push(encoded(["answer": value])) }
            switch command(frame) {
            case .handshakeRequest: answer(connection.request.map { [$0.method, $0.target] })
            case .info: answer(connection.info.map { ConnectionReport($0) })
            case .bytes(let bytes): connection.push(bytes)
            case .pushDetached(let text):
                Task.detached { Event.detachedPush(connection.push(text), exists: connection.exists).report() }
            case .send(let text): answer(connection.send(text))
            case .close(let code, let reason): Event.closing(connection.close(code: code, reason: reason)).report()
            default: connection.push(frame.text)
            }
        }
        server.onClose { server, fd, reason in
            let connection = server.connection(fd)
            Event.close(fd, reason.code, reason.cause, reason.text).report()
            Event.afterClose(isKnown: connection.exists, close: connection.close(), push: connection.push("late"))
                .report()
            Event.requestAfterClose(isKept: connection.request != nil).report()
        }
        let stream = server.listen(.tcp)
        stream.onReceiveSpan { server, fd, bytes in
            let connection = server.connection(fd)
            connection.send(bytes)
            connection.send([UInt8](" \(connection == server.connection(connection.id))".utf8))
            connection.close()
        }
        server.onStart { server in
            Event.masterPush(server.connection(ConnectionID(rawValue: 1)).push("nothing")).report()
            Scenarios.reportReady(server, configuration)
        }
    }
}
