import Glibc
import SwiftServer
import TestProtocol

/// Tells clients what handlers know of their certificates: in requests, on WebSockets and on a further port for bytes.
@MainActor enum ClientCertificateScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        server.onRequest { request, response in response.end(describe(request.clientCertificate)) }
        server.handle("/messages") { request, ws in
            try await ws.upgrade()
            for try await frame in ws.frames {
                if frame.text == "crash" { abort() }
                try await ws.push(describe(request.clientCertificate))
            }
        }
        let bytes = server.listen(.tcp)
        bytes.tls = configuration.tls
        bytes.onConnect { server, fd in server.send(describe(server.clientCertificate(of: fd)), to: fd) }
        bytes.onReceive { server, fd, _ in server.send(describe(server.clientCertificate(of: fd)), to: fd) }
    }

    private static func describe(_ certificate: ClientCertificate?) -> String {
        guard let certificate else { return "nobody" }
        return "\(certificate.subject), \(certificate.issuer), \(certificate.alternativeNames)"
    }
}
