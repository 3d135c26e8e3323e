extension RawConnection {
    /// Sends one request with nothing but what HTTP requires, and receives the response.
    package func get(
        _ target: String, method: String = "GET", fields: String = "", body: String = ""
    ) throws -> TestResponse {
        try sendRequest(target, method: method, fields: fields, body: body)
        return try takeResponse(hasBody: method != "HEAD")
    }

    package func sendRequest(
        _ target: String, method: String = "GET", fields: String = "", body: String = ""
    ) throws {
        let length = body.isEmpty ? "" : "Content-Length: \(body.utf8.count)\r\n"
        try send("\(method) \(target) HTTP/1.1\r\nHost: localhost\r\n\(fields)\(length)\r\n\(body)")
    }

    /// Receives a response whose body has a length, or is left to the caller.
    package func takeResponse(hasBody: Bool = true) throws -> TestResponse {
        let head = try takeHead()
        let length = head["content-length"].flatMap(Int.init) ?? 0
        return try head.with(bytes: hasBody ? takeAll(length) : [])
    }

    /// Receives a response with its body, however that ends. Skips interim responses.
    package func takeWholeResponse(to method: String) throws -> TestResponse {
        var head = try takeHead()
        while (100...199).contains(head.status), head.status != 101 { head = try takeHead() }
        if method == "HEAD" || head.status == 101 || head.status == 204 || head.status == 304 { return head }
        if head["transfer-encoding"]?.lowercased() == "chunked" { return try head.with(bytes: takeChunks()) }
        if let length = head["content-length"].flatMap(Int.init) { return try head.with(bytes: takeAll(length)) }
        return try head.with(bytes: takeRest())
    }

    private func takeHead() throws -> TestResponse {
        guard let head = try take(through: "\r\n\r\n") else {
            throw TestFailure("the connection ended before a response")
        }
        let lines = head.split(separator: "\r\n")
        let words = (lines.first ?? "").split(separator: " ")
        guard words.count > 1, words[0].hasPrefix("HTTP/1."), let status = Int(words[1]) else {
            throw TestFailure("malformed status line \"\(lines.first ?? "")\"")
        }
        let fields = lines.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (name: String(parts.first ?? ""), value: parts.count > 1 ? String(parts[1].drop { $0 == " " }) : "")
        }
        return TestResponse(status: status, fields: fields, bytes: [])
    }

    private func takeAll(_ length: Int) throws -> [UInt8] {
        guard let body = try take(length) else { throw TestFailure("a body of \(length) bytes ended early") }
        return body
    }

    private func takeChunks() throws -> [UInt8] {
        var body: [UInt8] = []
        while true {
            guard let line = try take(through: "\r\n"), let size = Int(line.prefix { $0.isHexDigit }, radix: 16) else {
                throw TestFailure("a body in chunks ended early")
            }
            body += try takeAll(size)
            _ = try takeAll(2)
            if size == 0 { return body }
        }
    }
}

extension TestResponse {
    fileprivate func with(bytes: [UInt8]) -> TestResponse {
        TestResponse(status: status, fields: fields, bytes: bytes)
    }
}
