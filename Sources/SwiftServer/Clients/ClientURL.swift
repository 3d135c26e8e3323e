/// The parts of a URL that a client connects to.
struct ClientURL: Sendable, Equatable {
    /// The schemes of a client.
    enum Kind: Sendable {
        case webSocket, http

        var plain: String { self == .webSocket ? "ws" : "http" }
        var secure: String { self == .webSocket ? "wss" : "https" }
    }

    let kind: Kind
    let isSecure: Bool
    let host: String
    let port: Int
    /// Path and query.
    let target: String

    /// The longest URL that is accepted.
    private static let maxLength = 32_768

    init(_ text: String, _ kind: Kind) throws(ClientError) {
        func invalid(_ cause: String) -> ClientError { .argument("the URL \(text.prefix(200)) \(cause)") }
        guard text.utf8.count <= ClientURL.maxLength, text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw invalid("must be at most \(ClientURL.maxLength) characters of ASCII without spaces")
        }
        let schemes = "must start with \(kind.plain):// or \(kind.secure)://"
        guard let colon = text.firstIndex(of: ":"), text[colon...].hasPrefix("://") else { throw invalid(schemes) }
        switch text[..<colon].lowercased() {
        case kind.plain: isSecure = false
        case kind.secure: isSecure = true
        default: throw invalid(schemes)
        }
        let rest = text[colon...].dropFirst(3).prefix { $0 != "#" }
        let end = rest.firstIndex { $0 == "/" || $0 == "?" } ?? rest.endIndex
        let authority = rest[..<end]
        self.kind = kind
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

extension ClientURL {
    var scheme: String { isSecure ? kind.secure : kind.plain }
    /// The host with its port, if that is not the usual one.
    var authority: String {
        let host = host.contains(":") ? "[\(host)]" : host
        return port == (isSecure ? 443 : 80) ? host : "\(host):\(port)"
    }
    var text: String { "\(scheme)://\(authority)\(target)" }

    /// The URL that a reference such as the field `Location` means, by RFC 3986 section 5.2.
    func resolving(_ reference: String) throws(ClientError) -> ClientURL {
        let reference = ClientURL.encoded(reference.prefix { $0 != "#" })
        let end = reference.firstIndex { $0 == "/" || $0 == "?" } ?? reference.endIndex
        if reference[..<end].contains(":") { return try ClientURL(reference, kind) }
        if reference.hasPrefix("//") { return try ClientURL("\(scheme):\(reference)", kind) }
        let path = target.prefix { $0 != "?" }
        let merged: String =
            switch reference.first {
            case nil: target
            case "/": reference
            case "?": String(path) + reference
            default: String(path[...(path.lastIndex(of: "/") ?? path.startIndex)]) + reference
            }
        return try ClientURL("\(scheme)://\(authority)\(ClientURL.withoutDots(merged))", kind)
    }

    /// The text with bytes that a URL cannot have in percent-encoding.
    private static func encoded(_ text: Substring) -> String {
        if text.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) { return String(text) }
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            if (0x21...0x7e).contains(byte) {
                bytes.append(byte)
            } else {
                bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// A target whose path has no segments "." and "..".
    private static func withoutDots(_ target: String) -> String {
        let path = target.prefix { $0 != "?" }
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
        var kept: [Substring] = []
        for (index, segment) in segments.enumerated() {
            let isLast = index == segments.count - 1
            switch segment {
            case ".": if isLast { kept.append("") }
            case "..":
                _ = kept.popLast()
                if isLast { kept.append("") }
            default: kept.append(segment)
            }
        }
        return "/" + kept.joined(separator: "/") + String(target[path.endIndex...])
    }
}
