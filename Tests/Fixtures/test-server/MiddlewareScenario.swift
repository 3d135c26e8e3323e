import Glibc
import SwiftServer
import TestProtocol

/// An access log that several workers write, and a limit that they share.
@MainActor enum MiddlewareScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        let format = AccessLog.Format.custom { entry in
            "\(entry.clientAddress) \(entry.request.method) \(entry.request.path) \(entry.outcome.status)"
        }
        server.use(AccessLog(format, file: (configuration.folder ?? "") + "/access"))
        server.group("/limited") { group in
            group.use { _, response in response.header("X-Worker", "\(getpid())") }
            // Five requests a day: no test takes so long that there is a sixth one.
            if let limit = try? RateLimit(requests: 5, per: .seconds(86400)) { group.use(limit) }
            group.get("/") { _, response in response.end("passed") }
        }
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        server.onRequest { request, response in response.end("served") }
    }
}
