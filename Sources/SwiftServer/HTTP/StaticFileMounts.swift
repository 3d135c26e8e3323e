/// The folders of a port, by the paths at which they are served.
struct StaticFileMounts: Sendable {
    private struct Mount {
        /// Without a slash at its end; empty for "/".
        let prefix: String
        let bytes: [UInt8]
        let files: StaticFiles
    }

    private var mounts: [Mount] = []
    /// The first thing that is wrong with a folder.
    private(set) var problem: String?

    var isEmpty: Bool { mounts.isEmpty }

    /// Adds a folder, in place of one at the same path.
    mutating func add(_ path: String, _ files: StaticFiles) {
        var prefix = path
        while prefix.utf8.last == UInt8(ascii: "/") { prefix.removeLast() }
        if !path.hasPrefix("/") || path.contains("?") || path.contains("//") {
            problem = problem ?? "cannot serve files at \(path): it needs a path like /static"
        } else if let cause = files.problem {
            problem = problem ?? "cannot serve files at \(path): \(cause)"
        }
        mounts.removeAll { $0.prefix == prefix }
        mounts.append(Mount(prefix: prefix, bytes: Array(prefix.utf8), files: files))
        // The longest first: the first that fits is the best.
        mounts.sort { $0.bytes.count > $1.bytes.count }
    }

    /// These folders, and those of `others` at further paths.
    func adding(_ others: StaticFileMounts) -> StaticFileMounts {
        if others.isEmpty { return self }
        var all = others
        for mount in mounts { all.add(mount.prefix.isEmpty ? "/" : mount.prefix, mount.files) }
        all.problem = problem ?? all.problem
        return all
    }

    /// The handler of requests that serves the folders, and hands all other requests on to `next`, or answers them with
    /// 404 without one.
    func function(before next: RequestFunction?) -> RequestFunction {
        (next ?? .synchronous(StaticFileMounts.answerMissing)).after(answer)
    }

    @MainActor private static func answerMissing(_ request: Request, _ response: Response) {
        response.status(404)
        response.header("Content-Type", "text/plain; charset=utf-8")
        response.end("404 Not Found\n")
    }

    /// Answers a request for a file. Returns false, with nothing sent, when none of the folders is meant.
    @MainActor private func answer(_ request: Request, _ response: Response) -> Bool {
        for mount in mounts where request.pathBegins(with: mount.bytes) {
            guard let path = request.resolvedPath?.utf8 else {
                return mount.files.answer(nil, request, response)
            }
            let rest = path.dropFirst(mount.bytes.count)
            guard path.starts(with: mount.bytes), rest.isEmpty || rest.first == UInt8(ascii: "/") else { continue }
            let below = FolderPath(String(Substring(rest)), dotFiles: mount.files.servesDotFiles)
            return mount.files.answer(below, request, response)
        }
        return false
    }
}

extension RequestFunction {
    /// A handler that calls this function for the requests that `first` has not answered, which it returns.
    func after(_ first: @escaping @MainActor (Request, Response) -> Bool) -> RequestFunction {
        switch self {
        case .synchronous(let handler):
            .synchronous { (request: Request, response: Response) in
                if !first(request, response) { try handler(request, response) }
            }
        case .asynchronous(let handler):
            .asynchronous { (request: Request, response: Response) async throws -> Void in
                if !first(request, response) { try await handler(request, response) }
            }
        case .chain(let chain):
            .asynchronous { (request: Request, response: Response) async throws -> Void in
                if !first(request, response) { try await chain(request, response) }
            }
        }
    }
}
