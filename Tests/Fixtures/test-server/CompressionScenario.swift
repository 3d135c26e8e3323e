import SwiftServer
import TestProtocol

/// A server that compresses its responses.
@MainActor enum CompressionScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        var compression = ResponseCompression()
        compression.threshold = 100
        compression.maxOpen = 2
        if configuration.scenario == .invalidCompression { compression.gzipLevel = 10 }
        server.settings.compressResponses = compression
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        server.onRequest { request, response in try await answer(request, response, server) }
        var off = ResponseCompression()
        off.codings = []
        server.listen(.http).settings.compressResponses = off
        if let folder = configuration.folder {
            var files = StaticFiles(folder)
            files.listsFolders = true
            server.files(at: "/files", from: files)
        }
    }

    private static var isReleased = false

    private static func answer(_ request: Request, _ response: Response, _ server: WebSocketServer) async throws {
        for (name, value) in request.query where name != "status" { response.header(name, value) }
        if let status = request.query["status"] { response.status(Int(status) ?? 200) }
        switch request.path {
        case "/always": response.compression = .always
        case "/never": response.compression = .never
        default: break
        }
        switch request.path {
        case "/small": response.end("small")
        case "/pieces":
            for index in 0..<5 {
                try await response.write("piece \(index)\n")
                await server.sleep(for: .milliseconds(5))
            }
            response.end("end")
        case "/hold":
            try await response.write("begun")
            while !isReleased { await server.sleep(for: .milliseconds(1)) }
            response.end()
        case "/release":
            isReleased = true
            response.end()
        case "/large":
            for _ in 0..<200 { try await response.write(String(repeating: "0123456789abcdef", count: 4096)) }
            response.end()
        case "/bytes": response.end([UInt8](repeating: 65, count: 1000))
        default: response.end(String(repeating: "text ", count: 100))
        }
    }
}
