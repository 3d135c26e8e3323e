import Glibc
import SwiftServer

/// `serve`: serves the files of a folder.
enum ServeCommand {
    @MainActor static func run(_ arguments: Arguments) async throws {
        let folder = arguments.operands.first ?? "."
        var info = stat()
        guard unsafe stat(folder, &info) == 0 else {
            throw Failure(.failed, "cannot open \(folder): \(unsafe String(cString: strerror(errno)))")
        }
        guard info.st_mode & S_IFMT == S_IFDIR else { throw Failure(.failed, "\(folder) is not a folder") }
        let host = arguments["host"] ?? "127.0.0.1"
        let port = try arguments.number("port", 0...65_535) ?? 8000
        // One process: nothing here needs more, and it has the program's own name.
        let server = HTTPServer(host: host, port: port, mode: .single)
        server.settings.controlSocket = arguments["socket"]
        var files = StaticFiles(folder)
        files.listsFolders = arguments.has("list")
        files.servesDotFiles = arguments.has("dot-files")
        server.files(at: "/", from: files)
        server.onStart { server in
            let name =
                host.hasPrefix("unix:") ? host : "http://\(host.contains(":") ? "[\(host)]" : host):\(server.port)/"
            Output.line("serving \(folder) at \(name)")
        }
        do {
            try await server.run()
        } catch {
            throw Failure(.failed, error.message)
        }
    }
}
