import Glibc
import SwiftServer
import TestProtocol

/// Code that does not return, in the place that a test names.
@MainActor enum BlockScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        let place = configuration.blocks
        func block(_ here: BlockingPlace) {
            guard here == place else { return }
            Event.blocked.report()
            while true { pause() }
        }
        server.onOpen { server, request in welcome(request.fd, server) }
        server.onMessage { server, frame in
            block(.message)
            server.push(frame, to: frame.fd)
        }
        server.onRequest { _, response in response.end("hello") }
        server.onTask { (_, _) -> [UInt8]? in nil }
        server.onWorkerStart { server, id in
            Event.workerStart(id: id, pid: getpid()).report()
            block(id < server.settings.workerCount ? .workerStart : .taskWorkerStart)
        }
        server.onWorkerStop { _, _ in block(.workerStop) }
        server.onWorkerError { _, _ in block(.workerError) }
        server.onManagerStop { _ in block(.managerStop) }
        server.onBeforeShutdown { _ in block(.beforeShutdown) }
        server.onShutdown { _ in
            Event.shutdown(pid: getpid()).report()
            block(.shutdown)
        }
        server.onStart { server in
            Scenarios.reportReady(server, configuration)
            block(.start)
        }
    }
}
