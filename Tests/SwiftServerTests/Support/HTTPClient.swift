import TestProtocol

/// One response as it stood on the wire.
struct HTTPResponse {
    let status: Int
    let fields: [(name: String, value: String)]
    let body: String

    func all(_ name: String) -> [String] {
        fields.filter { $0.name.lowercased() == name.lowercased() }.map(\.value)
    }
}

extension Connection {
    /// One request with nothing but what HTTP demands.
    func get(_ target: String, method: String = "GET", fields: String = "", body: String = "") throws -> HTTPResponse {
        try sendRequest(target, method: method, fields: fields, body: body)
        return try takeResponse(hasBody: method != "HEAD")
    }

    func get(_ page: Page, method: String = "GET") throws -> HTTPResponse { try get(page.target, method: method) }

    func sendRequest(_ page: Page, method: String = "GET") throws { try sendRequest(page.target, method: method) }

    func sendRequest(_ target: String, method: String = "GET", fields: String = "", body: String = "") throws {
        let length = body.isEmpty ? "" : "Content-Length: \(body.utf8.count)\r\n"
        try send("\(method) \(target) HTTP/1.1\r\nHost: localhost\r\n\(fields)\(length)\r\n\(body)")
    }

    func takeResponse(hasBody: Bool = true) throws -> HTTPResponse {
        guard let head = try take(through: "\r\n\r\n") else { throw Broken(what: "the connection ended") }
        let lines = head.split(separator: "\r\n")
        let words = lines[0].split(separator: " ")
        guard words.count > 1, words[0] == "HTTP/1.1", let status = Int(words[1]) else {
            throw Broken(what: "status line \(lines[0])")
        }
        let fields = lines.dropFirst().map { line in
            let parts = line.split(separator: ":", maxSplits: 1)
            return (name: String(parts[0]), value: String(parts[1].drop { $0 == " " }))
        }
        let length = fields.first { $0.name.lowercased() == "content-length" }.flatMap { Int($0.value) } ?? 0
        let body = hasBody ? try take(length) : []
        guard let body else { throw Broken(what: "a body of \(length) bytes ended early") }
        return HTTPResponse(status: status, fields: fields, body: String(decoding: body, as: UTF8.self))
    }

    struct Broken: Error, CustomStringConvertible {
        let what: String
        var description: String { "not what a server may send: \(what)" }
    }
}
