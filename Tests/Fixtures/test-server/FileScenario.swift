import SwiftServer
import TestProtocol

/// Servers that serve a folder in several ways.
@MainActor enum FileScenario {
    static func register(_ server: WebSocketServer, _ configuration: Configuration) {
        let folder = configuration.folder ?? ""
        server.onMessage { server, frame in server.push(frame, to: frame.fd) }
        var usual = StaticFiles(folder)
        usual.types["card"] = "text/vcard"
        usual.cache("*.css", .maxAge(.seconds(60)))
        usual.cache { $0.hasPrefix("assets/") ? .immutable : nil }
        usual.cache("*/none.txt", "no-store")
        if configuration.scenario == .invalidFiles { usual.maxRanges = 65 }
        server.files(at: "/static", from: usual)

        var strict = usual
        strict.listsFolders = true
        strict.servesDotFiles = true
        strict.symlinks = .refused
        strict.entityTags = .weak
        strict.maxRanges = 2
        server.files(at: "/strict/", from: strict)

        var open = StaticFiles(folder + "/")
        open.symlinks = .followed
        open.entityTags = .none
        open.sendsLastModified = false
        open.maxRanges = 0
        open.index = nil
        server.files(at: "/open", from: open)

        var packed = StaticFiles(folder)
        packed.precompressed = [.brotli, .zstandard, .gzip]
        server.files(at: "/packed", from: packed)

        var passing = StaticFiles(folder)
        passing.passesMissing = true
        server.files(at: "/passing", from: passing)

        server.onRequest { request, response in
            if let path = request.decodedPath, path.hasPrefix("/route/") {
                response.header("X-Route", "yes")
                usual.respond(to: request, path: String(path.dropFirst(7)), with: response)
            } else if request.path == "/fixed/" {
                usual.respond(to: request, path: "a.txt", with: response)
            } else {
                response.end("\(request.method) \(request.path)")
            }
        }
        // Every request is one for a file here.
        server.listen(.http).files(at: "/", from: folder)
        // Requests that are for no file of the server go to the server's handler.
        _ = server.listen(.http)
    }
}
