/// Where a server of a cluster is, and who is there: "redis://user:password@host:port", "rediss://...", "unix:/path",
/// or "nats://user:password@host:port", "nats://token@host", "tls://...".
struct ClusterURL: Sendable, Equatable {
    /// As the C core takes it.
    let host: String
    /// 0: a Unix socket.
    let port: Int
    let isSecure: Bool
    let user: String?
    let password: String?
    /// Instead of a user with a password, of NATS.
    let token: String?

    init(redis text: String) throws(ServerError) {
        try self.init(
            text,
            Form(what: "the URL of a Redis server", plain: "redis://", secure: "rediss://", port: 6379, isRedis: true))
    }

    init(nats text: String) throws(ServerError) {
        try self.init(
            text,
            Form(what: "the URL of a NATS server", plain: "nats://", secure: "tls://", port: 4222, isRedis: false))
    }

    /// An address or a host name, perhaps with a port.
    init(sentinel address: String, isSecure: Bool) throws(ServerError) {
        try self.init(
            (isSecure ? "rediss://" : "redis://") + address,
            Form(
                what: "the address of a sentinel", plain: "redis://", secure: "rediss://", port: 26379, isRedis: true))
    }

    private struct Form {
        let what: String
        let plain: String
        let secure: String
        let port: Int
        /// Unix sockets, and no tokens.
        let isRedis: Bool
    }

    private init(_ text: String, _ form: Form) throws(ServerError) {
        // Not the text: it may have a password, and errors are logged.
        func invalid(_ cause: String) -> ServerError { .setting("cluster: \(form.what) \(cause)") }
        if form.isRedis, text.hasPrefix("unix:") {
            guard text.utf8.count > 5, !text.utf8.contains(0) else { throw invalid("must have a path behind unix:") }
            (host, port, isSecure, user, password, token) = (text, 0, false, nil, nil, nil)
            return
        }
        guard let scheme = [form.plain, form.secure].first(where: text.hasPrefix) else {
            let socket = form.isRedis ? ", or be unix: and a path" : ""
            throw invalid("must start with \(form.plain) or \(form.secure)\(socket)")
        }
        var rest = text.dropFirst(scheme.count)
        if rest.hasSuffix("/") { rest = rest.dropLast() }
        guard !rest.contains(where: { "/?#".contains($0) }) else {
            throw invalid(form.isRedis ? "must not have a database or a query" : "must not have a path or a query")
        }
        var login: (user: String?, password: String?, token: String?) = (nil, nil, nil)
        if let at = rest.lastIndex(of: "@") {
            let parts = rest[..<at].split(separator: ":", maxSplits: 1, omittingEmptySubsequences: false)
            let decoded = parts.map(ClusterURL.decoded)
            if !form.isRedis, decoded.count == 1, let token = decoded[0], !token.isEmpty {
                login.token = token
            } else if decoded.count == 2, let user = decoded[0], let password = decoded[1], !password.isEmpty,
                form.isRedis || !user.isEmpty
            {
                login = (user.isEmpty ? nil : user, password, nil)
            } else {
                throw invalid("must have a password behind the user, as in \(form.plain)user:password@host")
            }
            rest = rest[rest.index(after: at)...]
        }
        var name = rest
        var number: Substring?
        if rest.hasPrefix("["), let end = rest.firstIndex(of: "]") {
            name = rest[rest.index(after: rest.startIndex)..<end]
            let behind = rest[rest.index(after: end)...]
            guard behind.isEmpty || behind.hasPrefix(":") else { throw invalid("has an invalid port") }
            number = behind.isEmpty ? nil : behind.dropFirst()
        } else if let colon = rest.firstIndex(of: ":") {
            name = rest[..<colon]
            number = rest[rest.index(after: colon)...]
        }
        guard !name.isEmpty, name.utf8.allSatisfy({ (0x21...0x7e).contains($0) }) else {
            throw invalid("must have a host")
        }
        let value = number.map { Int($0) ?? 0 } ?? form.port
        guard (1...65_535).contains(value) else {
            throw invalid("must have a port of 1 to 65535")
        }
        (host, port, isSecure) = (String(name), value, scheme == form.secure)
        (user, password, token) = login
    }

    /// Whether the same user is there.
    func hasLogin(of other: ClusterURL) -> Bool {
        user == other.user && password == other.password && token == other.token
    }

    /// The part of a URL before its host.
    static func login(_ user: String?, _ password: String?) -> String {
        guard user != nil || password != nil else { return "" }
        return "\(encoded(user ?? "")):\(encoded(password ?? ""))@"
    }

    private static func encoded(_ text: String) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var bytes: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "_"), UInt8(ascii: "."):
                bytes.append(byte)
            default: bytes += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// `nil`: the percent-encoding is malformed, or there is a zero byte.
    private static func decoded(_ text: Substring) -> String? {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            guard rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return bytes.contains(0) ? nil : String(validating: bytes, as: UTF8.self)
    }
}
