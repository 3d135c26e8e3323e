extension JWTKey {
    /// The keys of a key set (JWKS, RFC 7517), as issuers publish it.
    ///
    /// Keys for encryption and keys of other types and algorithms are skipped. A key without `alg` is for RS256 (`RSA`)
    /// or ES256 (`EC` with `P-256`); secrets (`oct`) need `"alg": "HS256"`.
    ///
    /// - Throws: ``JWTError`` when the text is malformed, larger than 1 MiB, has more than 64 keys, an invalid key of a
    ///   known type, or no key that can be used.
    public static func set(_ text: [UInt8]) throws(JWTError) -> [JWTKey] {
        guard text.count <= 1 << 20, let entries = JSONValue(text)?["keys"]?.array else {
            throw JWTError(.invalidKey, "the key set must be JSON of up to 1 MiB with an array keys")
        }
        guard entries.count <= 64 else { throw JWTError(.invalidKey, "the key set must have at most 64 keys") }
        var keys: [JWTKey] = []
        for (index, entry) in entries.enumerated() {
            do {
                if let key = try JWTKey(entry) { keys.append(key) }
            } catch {
                throw JWTError(error.code, "cannot use key \(index) of the set: \(error.message)")
            }
        }
        guard !keys.isEmpty else {
            throw JWTError(.invalidKey, "the key set must have a key for HS256, RS256 or ES256")
        }
        return keys
    }

    /// The keys of a key set (JWKS).
    public static func set(_ text: String) throws(JWTError) -> [JWTKey] { try set(Array(text.utf8)) }

    /// `nil`: a key that has another purpose.
    private init?(_ entry: JSONValue) throws(JWTError) {
        if let use = entry["use"], use != .string("sig") { return nil }
        if let operations = entry["key_ops"]?.array, !operations.contains(.string("verify")) { return nil }
        let algorithm = entry["alg"]?.string
        let id = entry["kid"]?.string
        switch entry["kty"]?.string {
        case "RSA" where algorithm == nil || algorithm == "RS256":
            self = try .rs256(modulus: JWTKey.bytes("n", entry), exponent: JWTKey.bytes("e", entry), id: id)
        case "EC" where (algorithm == nil || algorithm == "ES256") && entry["crv"] == .string("P-256"):
            self = try .es256(x: JWTKey.bytes("x", entry), y: JWTKey.bytes("y", entry), id: id)
        case "oct" where algorithm == "HS256":
            self = try .hs256(secret: JWTKey.bytes("k", entry), id: id)
        default: return nil
        }
    }

    private static func bytes(_ name: String, _ entry: JSONValue) throws(JWTError) -> [UInt8] {
        guard let text = entry[name]?.string, let bytes = Base64.decodeURL(text.utf8) else {
            throw JWTError(.invalidKey, "\(name) must be base64url")
        }
        return bytes
    }
}
