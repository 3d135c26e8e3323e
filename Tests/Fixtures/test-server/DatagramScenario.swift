import Glibc
import SwiftServer
import TestProtocol

/// A server whose own port is for datagrams.
enum DatagramScenario {
    static func run(_ configuration: Configuration) -> Never {
        let server = Server(host: configuration.host ?? "127.0.0.1", protocol: .udp, mode: configuration.mode)
        server.processName = "fixture"
        server.settings.workerCount = configuration.workers
        server.onStart { server in
            Event.ready(port: server.port, pid: getpid(), ports: server.ports.map(\.port)).report()
        }
        server.onPacket { server, bytes, sender in server.send([UInt8]("echo ".utf8) + bytes, to: sender) }
        server.serve()
    }
}
