import Glibc
import SwiftServer

/// Connections and datagrams that tell which worker they have come to.
@MainActor enum DispatchScenario {
    static func register(_ server: WebSocketServer, _ options: Options) {
        let packets = server.listen(.udp)
        packets.onPacket { server, bytes, sender in server.send("\(server.workerID)", to: sender) }
        server.settings.dispatch =
            switch options["dispatch"] {
            case "roundRobin": .roundRobin
            case "idleFirst": .idleFirst
            case "leastConnections": .leastConnections
            case "byAddress": .byAddress
            case "byUser": .byUser
            case "function":
                .function { info in
                    // The datagram says it; of connections all but the first worker's are refused.
                    guard let packet = info.packet else { return info.remoteAddress.host == "127.0.0.1" ? 0 : -1 }
                    return Int(String(decoding: packet, as: UTF8.self))
                }
            default: .byConnection
            }
        server.onOpen { server, request in server.push("welcome \(request.fd)", to: request.fd) }
        server.onClose { server, fd, _ in print("close \(server.workerID) \(fd)") }
        server.onMessage { server, frame in
            let words = frame.text.split(separator: " ").map(String.init)
            let number = words.count > 1 ? Int(words[1]) ?? 0 : 0
            switch words[0] {
            case "/who": server.push("\(server.workerID) \(getpid())", to: frame.fd)
            case "bind": server.push("\(server.bind(frame.fd, to: number))", to: frame.fd)
            case "uid":
                let uid = server.connectionInfo(ConnectionID(rawValue: UInt64(number)))?.userID
                server.push(uid.map(String.init) ?? "none", to: frame.fd)
            case "elsewhere":
                let fd = frame.fd
                Task.detached { server.push("\(server.bind(fd, to: number))", to: fd) }
            default: break
            }
        }
        server.onStart { server in
            print("packets \(server.ports[1].port)")
            print("ready \(server.port) \(server.masterPID)")
        }
    }
}
