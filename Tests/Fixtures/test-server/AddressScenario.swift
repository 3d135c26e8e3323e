import SwiftServer
import TestProtocol

/// Ports on several kinds of addresses, whose pages are the address that the client has connected to.
@MainActor enum AddressScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        server.onRequest { request, response in
            let address = request.localAddress ?? "?"
            response.end(request.connectionInfo?.localAddress == address ? address : "not that of the connection")
        }
        _ = server.listen(host: "0.0.0.0", .http)
        _ = server.listen(host: "::1", .http)
        _ = server.listen(host: "::", .http)
        if let path = configuration.unixSocket { _ = server.listen(host: "unix:\(path)", .http) }
    }
}
