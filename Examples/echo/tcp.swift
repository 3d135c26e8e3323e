import SwiftServer

/// Plain TCP: every byte comes back.
@MainActor func serveTCP(_ options: Options) -> Never {
    let server = Server(host: options.host, port: options.port, mode: options.mode)
    server.settings.workerCount = options.workers
    server.settings.reactorCount = options.reactors
    if let certificate = options.certificate, let key = options.key {
        server.tls = TLSConfiguration(certificateFile: certificate, privateKeyFile: key)
    }
    switch options.handler {
    case .callback: server.onReceive { server, fd, bytes in server.send(bytes, to: fd) }
    case .straight, .routed, .prepared, .wrapped, .logged:
        fail("--handler \(options.handler) serves WebSockets or HTTP")
    case .span: server.onReceiveSpan { server, fd, bytes in server.send(bytes, to: fd) }
    case .async: server.onReceive { (server, fd, bytes: [UInt8]) async in server.send(bytes, to: fd) }
    }
    server.onStart { server in print("ready \(server.port) \(server.masterPID)") }
    server.serve()
}
