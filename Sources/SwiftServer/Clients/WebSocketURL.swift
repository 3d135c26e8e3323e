/// The parts of a `ws:` or `wss:` URL.
struct WebSocketURL: Sendable, Equatable {
    let isSecure: Bool
    let host: String
    let port: Int
    /// Path and query.
    let target: String

    /// The longest URL that is accepted.
    private static let maxLength = 32_768

    init(_ text: String) throws(ClientError) {
        func invalid(_ cause: String) -> ClientError { .argument("the URL \(text.prefix(200)) \(cause)") }
        guard text.utf8.count <= WebSocketURL.maxLength, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw invalid("must be at most \(WebSocketURL.maxLength) characters of ASCII without spaces")
        }
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else {
            throw invalid("must start with ws:// or wss://")
        }
        switch text[..<colon].lowercased() {
        case "ws": isSecure = false
        case "wss": isSecure = true
        default: throw invalid("must start with ws:// or wss://")
        }
        let rest = text[colon...].dropFirst(3).prefix { $0 != "#" }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let authority = rest[..<end]
        target = rest[end...].hasPrefix("/") ? String(rest[end...]) : "/" + rest[end...]
        if authority.contains("@") {
            throw invalid("must not have a user: set the field Authorization instead")
        }
        var name = authority
        var number: Substring?
        if authority.hasPrefix("[") {
            guard let close = authority.firstIndex(of: "]") else { throw invalid("has an invalid address") }
            name = authority[authority.index(after: authority.startIndex)..<close]
            let behind = authority[close...].dropFirst()
            guard behind.isEmpty || behind.hasPrefix(":") else { throw invalid("has an invalid port") }
            number = behind.isEmpty ? nil : behind.dropFirst()
        } else if let colon = authority.firstIndex(of: ":") {
            name = authority[..<colon]
            number = authority[colon...].dropFirst()
        }
        guard !name.isEmpty else { throw invalid("must have a host") }
        host = String(name)
        guard let number, !number.isEmpty else {
            port = isSecure ? 443 : 80
            return
        }
        guard number.utf8.allSatisfy({ (0x30...0x39).contains($0) }), let value = Int(number),
            (1...65_535).contains(value)
        else { throw invalid("must have a port of 1 to 65535") }
        port = value
    }
}
