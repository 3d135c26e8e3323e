/// A token whose signature and claims a ``JWTVerifier`` has verified (RFC 7519).
///
/// The target SwiftServerJSON decodes the claims as a `Codable` type: `try token.decode(Claims.self)`.
public struct JWT: Sendable {
    /// The algorithm of the signature.
    public let algorithm: JWTKey.Algorithm
    /// The key id that the token names.
    public let keyID: String?
    /// The claims as JSON, as the issuer has written them.
    public let claims: [UInt8]

    /// `iss`: who has issued the token.
    public let issuer: String?
    /// `sub`: whom the token is about.
    public let subject: String?
    /// `aud`: whom the token is for.
    public let audiences: [String]
    /// `jti`: the id of the token.
    public let id: String?
    /// `exp`: the end of its validity, in seconds since 1970.
    public let expiration: Double?
    /// `nbf`: the beginning of its validity, in seconds since 1970.
    public let notBefore: Double?
    /// `iat`: the time at which it was issued, in seconds since 1970.
    public let issuedAt: Double?

    private let members: JSONValue

    /// A claim that is a text.
    public func string(_ claim: String) -> String? { members[claim]?.string }
    /// A claim that is a number.
    public func number(_ claim: String) -> Double? { members[claim]?.number }
    /// A claim that is true or false.
    public func bool(_ claim: String) -> Bool? { members[claim]?.bool }
    /// A claim that is an array of texts.
    public func strings(_ claim: String) -> [String]? { members[claim]?.strings }

    /// The scopes of the token: the words of `scope` (RFC 8693), or the texts of `scp`.
    public var scopes: [String] {
        string("scope").map { $0.split(separator: " ").map(String.init) } ?? strings("scp") ?? []
    }

    init(_ algorithm: JWTKey.Algorithm, _ keyID: String?, _ claims: [UInt8]) throws(JWTError) {
        guard let members = JSONValue(claims), case .object = members else {
            throw JWTError(.malformed, "the claims are not a JSON object")
        }
        func string(_ name: String) throws(JWTError) -> String? {
            guard let value = members[name] else { return nil }
            guard let string = value.string else { throw JWTError(.invalidClaim, "\(name) is not a string") }
            return string
        }
        func time(_ name: String) throws(JWTError) -> Double? {
            guard let value = members[name] else { return nil }
            guard let time = value.number else { throw JWTError(.invalidClaim, "\(name) is not a number") }
            return time
        }
        self.algorithm = algorithm
        self.keyID = keyID
        self.claims = claims
        self.members = members
        issuer = try string("iss")
        subject = try string("sub")
        id = try string("jti")
        expiration = try time("exp")
        notBefore = try time("nbf")
        issuedAt = try time("iat")
        if let value = members["aud"] {
            guard let audiences = value.string.map({ [$0] }) ?? value.strings else {
                throw JWTError(.invalidClaim, "aud is neither a string nor an array of strings")
            }
            self.audiences = audiences
        } else {
            audiences = []
        }
    }
}
