internal import Glibc

/// Verifies JSON Web Tokens (RFC 7519) that are signed with HS256, RS256 or ES256.
///
/// ```swift
/// var verifier = JWTVerifier(keys: try JWTKey.set(jwks), issuer: "https://login.example", audience: "shop")
/// verifier.leeway = .seconds(30)
/// server.use(BearerAuthentication(realm: "shop", tokens: verifier))
/// ```
///
/// The algorithm is that of the key: `none`, other algorithms, and a public key used as a secret are refused. So are
/// tokens with critical extensions (`crit`), repeated names, malformed JSON, or base64url in any other form.
public struct JWTVerifier: Sendable {
    private let keys: [JWTKey]

    /// The issuer that `iss` must name; `nil`: any.
    public var issuer: String?
    /// The name that must be among those of `aud`; `nil`: tokens with an `aud` are refused, since they are for others.
    public var audience: String?
    /// The difference between clocks that is tolerated.
    public var leeway: Duration = .seconds(60)
    /// Whether tokens without `exp` are refused. Default: true.
    public var requiresExpiration = true
    /// The longest time since `iat`, which tokens must have then; `nil`: no limit.
    public var maxAge: Duration?
    /// The type that the header must have (`typ`, like "at+jwt"), in any letter case; `nil`: any.
    public var type: String?
    /// The size of the largest token, in bytes.
    public var maxSize = 8192

    /// - Parameters:
    ///   - keys: the keys of the issuer. A token without `kid` is tried with each key of its algorithm.
    ///   - issuer: the issuer that `iss` must name; `nil`: any.
    ///   - audience: the name that must be among those of `aud`; `nil`: tokens with an `aud` are refused.
    public init(keys: [JWTKey], issuer: String? = nil, audience: String? = nil) {
        self.keys = keys
        self.issuer = issuer
        self.audience = audience
    }

    /// Verifies a token.
    ///
    /// - Parameters:
    ///   - token: the token in its compact form, three parts with dots between them.
    ///   - now: the time in seconds since 1970; `nil`: that of the system's clock.
    /// - Throws: ``JWTError`` for a token that is not accepted.
    public func verify(_ token: String, at now: Double? = nil) throws(JWTError) -> JWT {
        guard token.utf8.count <= maxSize else { throw JWTError(.malformed, "the token exceeds \(maxSize) bytes") }
        let bytes = Array(token.utf8)
        let parts = bytes.split(separator: UInt8(ascii: "."), maxSplits: 3, omittingEmptySubsequences: false)
        guard parts.count == 3, let header = Base64.decodeURL(parts[0]), let claims = Base64.decodeURL(parts[1]),
            let signature = Base64.decodeURL(parts[2])
        else { throw JWTError(.malformed, "the token does not consist of three parts in base64url") }
        let (algorithm, keyID) = try checkedHeader(header)

        let candidates = keys.filter {
            $0.algorithm == algorithm && ($0.id == nil || keyID == nil || $0.id == keyID)
        }
        guard !candidates.isEmpty else {
            throw JWTError(.unknownKey, "there is no key for the algorithm and key id of the token")
        }
        let message = bytes[..<parts[1].endIndex]
        guard candidates.contains(where: { $0.verifies(signature, of: message) }) else {
            throw JWTError(.invalidSignature, "the signature is invalid")
        }
        let jwt = try JWT(algorithm, keyID, claims)
        try checkTimes(of: jwt, now ?? Double(Request.milliseconds(CLOCK_REALTIME)) / 1000)
        try checkParties(of: jwt)
        return jwt
    }

    private func checkedHeader(_ text: [UInt8]) throws(JWTError) -> (JWTKey.Algorithm, String?) {
        guard let header = JSONValue(text), let name = header["alg"]?.string else {
            throw JWTError(.malformed, "the header is not a JSON object with an alg")
        }
        guard let algorithm = JWTKey.Algorithm(rawValue: name) else {
            throw JWTError(.unknownKey, "the algorithm of the token is not HS256, RS256 or ES256")
        }
        guard header["crit"] == nil else { throw JWTError(.malformed, "the token has critical extensions") }
        let keyID = header["kid"]
        guard keyID == nil || keyID?.string != nil else { throw JWTError(.malformed, "kid is not a string") }
        if let type, header["typ"]?.string?.lowercased() != type.lowercased() {
            throw JWTError(.malformed, "the token has another type")
        }
        return (algorithm, keyID?.string)
    }

    private func checkTimes(of jwt: JWT, _ now: Double) throws(JWTError) {
        let leeway = JWTVerifier.seconds(max(.zero, leeway))
        if let expiration = jwt.expiration {
            guard now < expiration + leeway else { throw JWTError(.expired, "the token has expired") }
        } else if requiresExpiration {
            throw JWTError(.invalidClaim, "the token has no exp")
        }
        if let notBefore = jwt.notBefore, now < notBefore - leeway {
            throw JWTError(.notYetValid, "the token is not valid yet")
        }
        if let issuedAt = jwt.issuedAt, now < issuedAt - leeway {
            throw JWTError(.notYetValid, "the token was issued in the future")
        }
        if let maxAge {
            guard let issuedAt = jwt.issuedAt else { throw JWTError(.invalidClaim, "the token has no iat") }
            guard now < issuedAt + JWTVerifier.seconds(maxAge) + leeway else {
                throw JWTError(.expired, "the token is too old")
            }
        }
    }

    private func checkParties(of jwt: JWT) throws(JWTError) {
        if let issuer, jwt.issuer != issuer { throw JWTError(.wrongIssuer, "the token is of another issuer") }
        if let audience {
            guard jwt.audiences.contains(audience) else {
                throw JWTError(.wrongAudience, "the token is for another audience")
            }
        } else if !jwt.audiences.isEmpty {
            throw JWTError(.wrongAudience, "the token is for an audience, and the verifier has no audience")
        }
    }

    private static func seconds(_ duration: Duration) -> Double { duration / .seconds(1) }
}
