import SwiftServer
import TestProtocol

/// Connections and datagrams that report which worker they have come to.
@MainActor enum DispatchScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        let packets = server.listen(.udp)
        packets.onPacket { server, bytes, sender in server.send("\(server.workerID)", to: sender) }
        server.settings.dispatch = rule(configuration.dispatch ?? .byConnection)
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onClose { server, fd, _ in Event.closedIn(worker: server.workerID, fd).report() }
        server.onMessage { server, frame in
            let fd = frame.fd
            switch command(frame) {
            case .bind(let number): server.answer(server.bind(fd, to: number), to: fd)
            case .bindDetached(let number):
                Task.detached { server.answer(server.bind(fd, to: number), to: fd) }
            case .userID(let other): server.answer(server.connectionInfo(other)?.userID, to: fd)
            case let command?: if let answer = Commands.common(command, server) { server.answer(answer, to: fd) }
            case nil: break
            }
        }
    }

    private static func rule(_ rule: DispatchRule) -> Dispatch {
        switch rule {
        case .byConnection: .byConnection
        case .roundRobin: .roundRobin
        case .idleFirst: .idleFirst
        case .leastConnections: .leastConnections
        case .byAddress: .byAddress
        case .byUser: .byUser
        case .function:
            .function { info in
                // The datagram says it; of connections all but the first worker's are refused.
                guard let packet = info.packet else { return info.remoteAddress.host == "127.0.0.1" ? 0 : -1 }
                return Int(String(decoding: packet, as: UTF8.self))
            }
        }
    }
}
