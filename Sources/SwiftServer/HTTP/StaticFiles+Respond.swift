internal import CReactor
internal import Glibc

extension StaticFiles {
    /// Answers a request with a file of the folder: in the handler of a route, for example.
    ///
    /// ```swift
    /// server.get("/download/*path") { request, response in
    ///     files.respond(to: request, path: request.parameters["path"] ?? "", with: response)
    /// }
    /// ```
    ///
    /// - Parameters:
    ///   - request: the request; its method, conditions, ranges and accepted codings are taken from it.
    ///   - path: the path beneath the folder, decoded, as the client has sent it: one that leads out of the folder is
    ///     answered with 404.
    ///   - response: the response, to which fields may have been added.
    /// - Returns: false, with nothing sent, if ``passesMissing`` is set and there is no such file or the method is
    ///   another one than GET and HEAD; else true.
    @discardableResult @MainActor
    public func respond(to request: Request, path: String, with response: Response) -> Bool {
        answer(FolderPath(path, dotFiles: servesDotFiles), request, response)
    }

    /// Answers a request. `path`: `nil` for one that must not be looked up. Returns false when it is handed on.
    @MainActor func answer(_ path: FolderPath?, _ request: Request, _ response: Response) -> Bool {
        let isOwner = response.worker.link.owns(request.fd)
        guard let found = find(path, for: request, keepsOpen: isOwner) else { return false }
        answer(found, request, response)
        return true
    }

    /// What there is for a path.
    private enum Found {
        case file(FolderFile)
        /// The path of a folder lacks its slash.
        case redirect
        case listing(FolderPath)
        /// There is something, but not for this method.
        case otherMethod
        case missing
        /// It cannot be opened: a negative error.
        case failed(String, Int32)
    }

    /// Looks the path up; `nil`: the request is handed on. `keepsOpen`: this process will send the file.
    private func find(_ path: FolderPath?, for request: Request, keepsOpen: Bool) -> Found? {
        let method = request.method
        let isRead = method == "GET" || method == "HEAD"
        if passesMissing, !isRead { return nil }
        guard let path else { return passesMissing ? nil : .missing }
        let found = find(path, isFolder: request.pathHasSlash, keepsOpen: keepsOpen)
        switch found {
        case .missing: return passesMissing ? nil : .missing
        case .failed: return found
        default: return isRead ? found : .otherMethod
        }
    }

    /// `isFolder`: the client has written the path of a folder.
    private func find(_ path: FolderPath, isFolder: Bool, keepsOpen: Bool) -> Found {
        // Mostly there is an index file: then the folder itself need not be opened.
        if isFolder, let index, let file = file(path.file(index), keepsOpen: keepsOpen) { return .file(file) }
        switch FolderEntry(self, path.text, keepsOpen: keepsOpen) {
        case .file(let info, let open): return path.hasSlash ? .missing : .file(file(path.text, info, open))
        case .missing: return .missing
        case .failed(let error): return .failed(path.text, error)
        case .folder:
            if let index {
                let name = path.file(index)
                switch FolderEntry(self, name, keepsOpen: keepsOpen) {
                case .file(let info, let open): return isFolder ? .file(file(name, info, open)) : .redirect
                case .failed(let error): return .failed(name, error)
                case .folder, .missing: break
                }
            }
            guard listsFolders else { return .missing }
            return isFolder ? .listing(path) : .redirect
        }
    }

    @MainActor private func answer(_ found: Found, _ request: Request, _ response: Response) {
        switch found {
        case .file(let file): send(file, request, response)
        case .redirect: redirect(request, response)
        case .listing(let path): if !list(path, response) { answer(404, response) }
        case .missing: answer(404, response)
        case .failed(_, -EACCES): answer(403, response)
        case .failed(let path, let error):
            Log.error("cannot open \(folder)/\(path): \(errorText(error))")
            answer(500, response)
        case .otherMethod:
            response.header("Allow", "GET, HEAD, OPTIONS")
            guard request.method == "OPTIONS" else { return answer(405, response) }
            response.status(204)
            response.end()
        }
    }

    // MARK: Files

    @MainActor private func send(_ original: FolderFile, _ request: Request, _ response: Response) {
        var file = original
        let path = original.path
        if !precompressed.isEmpty {
            response.header("Vary", "Accept-Encoding")
            if let (coding, compressed) = compressed(original, request) {
                response.header("Content-Encoding", coding.rawValue)
                file = compressed
            }
        }
        if let rule = cacheControl(path) { response.header("Cache-Control", rule.value) }
        // Mostly nothing depends on it; the process that sends the file makes its own tag.
        lazy var current = Preconditions.Representation(entityTag: file.entityTag, lastModified: file.lastModified)
        let conditions = Preconditions(request)
        switch conditions.isEmpty ? .proceed : conditions.decide(method: request.method, current) {
        case .proceed: break
        case .notModified:
            addValidators(current, response)
            response.dropRepresentation()
            response.status(304)
            response.end()
            return
        case .failed:
            addValidators(current, response)
            return answer(412, response)
        }
        let type = type(of: path)
        if maxRanges > 0 {
            response.header("Accept-Ranges", "bytes")
            let ranges = request.method == "GET" ? request.header.all("range") : []
            if ranges.count == 1, conditions.allowsRange(current) {
                switch ByteRanges(ranges[0], size: file.info.size, limit: min(maxRanges, StaticFiles.mostRanges)) {
                case .all: break
                case .none:
                    response.header("Content-Range", "bytes */\(file.info.size)")
                    return answer(416, response)
                case .parts(let parts): return send(parts, of: file, type, response)
                }
            }
        }
        response.status(200)
        response.header("Content-Type", type)
        response.send(file)
    }

    @MainActor private func send(
        _ ranges: [Range<UInt64>], of file: FolderFile, _ type: String, _ response: Response
    ) {
        func contentRange(_ range: Range<UInt64>) -> String {
            "bytes \(range.lowerBound)-\(range.upperBound - 1)/\(file.info.size)"
        }
        var file = file
        response.status(206)
        if ranges.count == 1 {
            file.parts = [FolderFile.Part(text: "", range: ranges[0])]
            response.header("Content-Type", type)
            response.header("Content-Range", contentRange(ranges[0]))
        } else {
            let boundary = StaticFiles.boundary()
            for (index, range) in ranges.enumerated() {
                let text =
                    "\(index > 0 ? "\r\n" : "")--\(boundary)\r\nContent-Type: \(type)\r\n"
                    + "Content-Range: \(contentRange(range))\r\n\r\n"
                file.parts.append(FolderFile.Part(text: text, range: range))
            }
            file.parts.append(FolderFile.Part(text: "\r\n--\(boundary)--\r\n", range: 0..<0))
            response.header("Content-Type", "multipart/byteranges; boundary=\(boundary)")
        }
        response.send(file)
    }

    /// A text that the file does not have, as good as certainly.
    private static func boundary() -> String {
        let digits = Array("0123456789abcdefghijklmnopqrstuvwxyz")
        return String((0..<30).map { _ in digits[Int.random(in: 0..<digits.count)] })
    }

    private func file(_ path: String, _ info: cre_file_info, _ open: OpenFile?) -> FolderFile {
        FolderFile(
            folder: folder, path: path, info: info, symlinks: symlinks, entityTags: entityTags,
            sendsLastModified: sendsLastModified, open: open)
    }

    /// The file of this path, if there is one.
    private func file(_ path: String, keepsOpen: Bool) -> FolderFile? {
        guard case .file(let info, let open) = FolderEntry(self, path, keepsOpen: keepsOpen) else { return nil }
        return file(path, info, open)
    }

    /// The compressed file that the client likes best, if there is one that is not older than the original.
    private func compressed(_ original: FolderFile, _ request: Request) -> (ContentCoding, FolderFile)? {
        let accepted = AcceptedCodings(request.header.all("accept-encoding"))
        var left = precompressed
        while let coding = accepted.best(of: left) {
            let found = file(original.path + coding.suffix, keepsOpen: original.open != nil)
            if let found, found.info.modified >= original.info.modified { return (coding, found) }
            left.removeAll { $0 == coding }
        }
        return nil
    }

    @MainActor private func addValidators(_ current: Preconditions.Representation, _ response: Response) {
        if let tag = current.entityTag { response.header("ETag", tag) }
        if let modified = current.lastModified { response.header("Last-Modified", HTTPDate.text(modified)) }
    }

    // MARK: Other answers

    @MainActor private func answer(_ status: Int, _ response: Response) {
        let reason = unsafe String(cString: cre_http_reason(Int32(status)))
        response.status(status)
        response.header("Content-Type", "text/plain; charset=utf-8")
        response.end("\(status) \(reason)\n")
    }

    /// Redirects to the path with a slash, made of the resolved path, so that it is one of this server whatever the
    /// client has sent.
    @MainActor private func redirect(_ request: Request, _ response: Response) {
        guard let path = request.resolvedPath else { return answer(404, response) }
        var location = Escaped.path(path.utf8) + (path.utf8.last == UInt8(ascii: "/") ? "" : "/")
        if let query = request.queryString { location += "?" + query }
        response.header("Location", location)
        answer(301, response)
    }
}

/// Dates as HTTP writes them.
enum HTTPDate {
    static func text(_ seconds: Int64) -> String {
        let length = Int(CRE_HTTP_DATE_LENGTH)
        return unsafe withUnsafeTemporaryAllocation(of: CChar.self, capacity: length) {
            unsafe cre_http_date($0.baseAddress, seconds)
            return unsafe String(decoding: UnsafeRawBufferPointer($0), as: UTF8.self)
        }
    }
}
