import SwiftServer
import TestProtocol

/// An access log that several workers write.
@MainActor enum MiddlewareScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        let format = AccessLog.Format.custom { entry in
            "\(entry.clientAddress) \(entry.request.method) \(entry.request.path) \(entry.outcome.status)"
        }
        server.use(AccessLog(format, file: (configuration.folder ?? "") + "/access"))
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        server.onRequest { request, response in response.end("served") }
    }
}
