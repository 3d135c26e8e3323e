import SwiftServer
import TestProtocol

/// Further ports whose answers are sent by task workers. There is no handler for messages between processes.
@MainActor enum TaskPortScenario {
    static func register(_ server: WebSocketServer) {
        server.onMessage { server, frame in
            let others = (0..<server.settings.workerCount).filter { $0 != server.workerID }
            for other in others { server.sendMessage("hello", to: other) }
            server.push(frame, to: frame.fd)
        }
        let streams = server.listen(.tcp)
        streams.onReceive { server, fd, _ in server.task("stream \(fd.rawValue)") }
        let packets = server.listen(.udp)
        packets.onPacket { server, _, sender in server.task("\(sender.host) \(sender.port)") }
        server.onTask { server, task in
            let words = task.text.split(separator: " ").map(String.init)
            if words[0] == "stream", let number = UInt64(words[1]) {
                server.send("of task worker \(server.workerID)", to: ConnectionID(rawValue: number))
            } else if let port = Int(words[1]), let address = SocketAddress(host: words[0], port: port) {
                server.send("of task worker \(server.workerID)", to: address)
            }
        }
    }
}
