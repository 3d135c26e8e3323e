import Glibc

/// Tokens of the form EXPIRES.SIGNATURE: a time in seconds since 1970, and an HMAC-SHA256 over the user and that time.
public struct Tokens {
    private let key: [UInt8]

    /// - Parameter key: `nil` or empty: 32 random bytes, so that tokens end with the server.
    public init(key: String?) {
        if let key, !key.isEmpty {
            self.key = [UInt8](key.utf8)
        } else {
            var generator = SystemRandomNumberGenerator()
            self.key = (0..<32).map { _ in UInt8.random(in: 0...255, using: &generator) }
        }
    }

    /// A token for a user.
    public func token(user: String, expires: Int) -> String {
        "\(expires).\(hex(hmacSHA256(key: key, [UInt8]("\(expires).\(user)".utf8))))"
    }

    /// Whether a token is one of this key and this user, and has not expired.
    public func isValid(_ token: String, user: String, now: Int) -> Bool {
        guard let text = token.split(separator: ".").first, let expires = Int(text), expires > now else { return false }
        let (expected, given) = ([UInt8](self.token(user: user, expires: expires).utf8), [UInt8](token.utf8))
        guard given.count == expected.count else { return false }
        // Compares all bytes, so that the time does not depend on the place of the first difference.
        return zip(expected, given).reduce(0) { $0 | ($1.0 ^ $1.1) } == 0
    }
}

/// An environment variable.
public func environment(_ name: String) -> String? {
    unsafe getenv(name).map { unsafe String(cString: $0) }
}

private func hex(_ bytes: [UInt8]) -> String {
    let digits = [Character]("0123456789abcdef")
    return String(bytes.flatMap { [digits[Int($0 >> 4)], digits[Int($0 & 15)]] })
}
