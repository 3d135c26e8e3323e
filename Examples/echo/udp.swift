import SwiftServer

/// UDP: every packet comes back.
@MainActor func serveUDP(_ options: Options) -> Never {
    let server = Server(host: options.host, port: options.port, protocol: .udp, mode: options.mode)
    server.settings.workerCount = options.workers
    server.settings.reactorCount = options.reactors
    guard options.handler == .callback, options.certificate == nil else {
        fail("--udp has no other handler and no TLS")
    }
    server.onPacket { server, bytes, sender in server.send(bytes, to: sender) }
    server.onStart { server in print("ready \(server.port) \(server.masterPID)") }
    server.serve()
}
