import SwiftServerJSON
import Testing

@testable import SwiftServer

#if TLS
@Suite struct JWTTests {
    private static func keys() throws -> [JWTKey] { try JWTKey.set(Tokens.keySet) }

    private static func verifier() throws -> JWTVerifier {
        var verifier = try JWTVerifier(keys: keys(), issuer: "https://login.example", audience: "shop")
        verifier.leeway = .zero
        return verifier
    }

    /// The code with which a token is refused; `nil` when it is accepted.
    private static func refusal(
        _ token: String, at now: Double = 1500, _ change: (inout JWTVerifier) -> Void = { _ in }
    ) throws -> JWTError.Code? {
        var verifier = try verifier()
        change(&verifier)
        do {
            _ = try verifier.verify(token, at: now)
            return nil
        } catch { return error.code }
    }

    @Test func examplesOfRFC7515() throws {
        let claims =
            "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ"
        let keys = try JWTKey.set(
            """
            {"keys":[{"kty":"oct","alg":"HS256","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0i\
            PS4hcgUuTwjAzZr1Z9CAow"},{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU",\
            "y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}]}
            """)
        let verifier = JWTVerifier(keys: keys)
        for token in [
            "eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9.\(claims).dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk",
            "eyJhbGciOiJFUzI1NiJ9.\(claims).DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTU"
                + "JqPP3-Kg6NU1Q",
        ] {
            let jwt = try verifier.verify(token, at: 1_300_819_379)
            #expect(jwt.issuer == "joe" && jwt.expiration == 1_300_819_380)
            #expect(jwt.bool("http://example.com/is_root") == true)
            #expect(throws: JWTError.self) { _ = try verifier.verify(token, at: 1_300_819_441) }
        }
    }

    @Test(
        arguments: [
            (Tokens.hs256, .hs256, "h1"), (Tokens.rs256, .rs256, "r1"), (Tokens.es256, .es256, "e1"),
            (Tokens.es256OtherKey, .es256, "e2"), (Tokens.es256WithoutID, .es256, nil),
        ] as [(String, JWTKey.Algorithm, String?)])
    func eachAlgorithm(_ token: String, _ algorithm: JWTKey.Algorithm, _ id: String?) throws {
        let jwt = try JWTTests.verifier().verify(token, at: 1500)
        #expect(jwt.algorithm == algorithm && jwt.keyID == id)
        #expect(jwt.subject == "ada" && jwt.audiences == ["shop"] && jwt.id == "t1")
        #expect(jwt.issuedAt == 1000 && jwt.notBefore == 1000 && jwt.expiration == 2000)
    }

    @Test func keysInPEM() throws {
        let keys = [try JWTKey.rs256(pem: Tokens.rsaPEM), try JWTKey.es256(pem: Tokens.p256PEM)]
        let verifier = JWTVerifier(keys: keys, audience: "shop")
        for token in [Tokens.rs256, Tokens.es256] { #expect(try verifier.verify(token, at: 1500).subject == "ada") }
    }

    /// No character can be replaced, removed or added.
    @Test(arguments: [Tokens.hs256, Tokens.rs256, Tokens.es256])
    func changedTokens(_ token: String) throws {
        let verifier = try JWTTests.verifier()
        let bytes = Array(token.utf8)
        for place in bytes.indices {
            for (replaced, with) in [(1, "A"), (1, "B"), (1, "."), (1, "="), (1, ""), (0, "A"), (1, "é")] {
                var changed = bytes
                changed.replaceSubrange(place..<place + replaced, with: Array(with.utf8))
                guard changed != bytes else { continue }
                let text = String(decoding: changed, as: UTF8.self)
                #expect(throws: JWTError.self, "\(place) \(with)") { _ = try verifier.verify(text, at: 1500) }
            }
        }
        for suffix in [".", "=", " ", "\n", "AA", ".AA"] {
            #expect(throws: JWTError.self) { _ = try verifier.verify(token + suffix, at: 1500) }
        }
    }

    /// The last character of base64url has bits without a meaning: only one of its forms is accepted.
    @Test func signaturesHaveOneForm() throws {
        let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
        for token in [Tokens.hs256, Tokens.rs256, Tokens.es256] {
            let accepted = try alphabet.filter { try JWTTests.refusal(token.dropLast() + "\($0)") == nil }
            #expect(accepted.count == 1 && accepted.last == token.last)
        }
    }

    @Test func algorithmsAreThoseOfTheKeys() throws {
        #expect(try JWTTests.refusal(Tokens.none) == .unknownKey)
        #expect(try JWTTests.refusal(Tokens.hs384) == .unknownKey)
        #expect(try JWTTests.refusal(Tokens.pssAsRS256) == .invalidSignature)
        // A public key as the secret of HS256.
        #expect(try JWTTests.refusal(Tokens.hs256WithPublicKey) == .invalidSignature)
        let verifier = JWTVerifier(keys: [try JWTKey.rs256(pem: Tokens.rsaPEM)], audience: "shop")
        for token in [Tokens.hs256WithPublicKey, Tokens.es256, Tokens.none] {
            let error = #expect(throws: JWTError.self) { _ = try verifier.verify(token, at: 1500) }
            #expect(error?.code == .unknownKey)
        }
    }

    @Test func keyIDsChooseKeys() throws {
        let wrong = JWTVerifier(keys: [try JWTKey.es256(pem: Tokens.p256PEM, id: "other")], audience: "shop")
        let error = #expect(throws: JWTError.self) { _ = try wrong.verify(Tokens.es256, at: 1500) }
        #expect(error?.code == .unknownKey)
        #expect(try wrong.verify(Tokens.es256WithoutID, at: 1500).keyID == nil)
        #expect(throws: JWTError.self) { _ = try JWTVerifier(keys: []).verify(Tokens.es256, at: 1500) }
    }

    @Test func times() throws {
        for (now, code) in [
            (999.9, JWTError.Code.notYetValid), (1000, nil), (1999.9, nil), (2000, .expired), (1e12, .expired),
        ] as [(Double, JWTError.Code?)] {
            #expect(try JWTTests.refusal(Tokens.hs256, at: now) == code, "\(now)")
        }
        #expect(try JWTTests.refusal(Tokens.hs256, at: 990) { $0.leeway = .seconds(10) } == nil)
        #expect(try JWTTests.refusal(Tokens.hs256, at: 2009) { $0.leeway = .seconds(10) } == nil)
        #expect(try JWTTests.refusal(Tokens.hs256, at: 2010) { $0.leeway = .seconds(10) } == .expired)
        #expect(try JWTTests.refusal(Tokens.issuedLater, at: 1400) == .notYetValid)
        #expect(try JWTTests.refusal(Tokens.issuedLater, at: 1500) == nil)
        #expect(try JWTTests.refusal(Tokens.hs256, at: 1099) { $0.maxAge = .seconds(100) } == nil)
        #expect(try JWTTests.refusal(Tokens.hs256, at: 1100) { $0.maxAge = .seconds(100) } == .expired)
        #expect(try JWTTests.refusal(Tokens.withoutIat) { $0.maxAge = .seconds(100) } == .invalidClaim)
        #expect(try JWTTests.refusal(Tokens.withoutExp) == .invalidClaim)
        #expect(try JWTTests.refusal(Tokens.withoutExp) { $0.requiresExpiration = false } == nil)
        // The clock of the system: the token has expired long ago.
        let error = #expect(throws: JWTError.self) { _ = try JWTTests.verifier().verify(Tokens.hs256) }
        #expect(error?.code == .expired)
    }

    @Test func issuersAndAudiences() throws {
        #expect(try JWTTests.refusal(Tokens.hs256) { $0.issuer = "https://login.example/" } == .wrongIssuer)
        #expect(try JWTTests.refusal(Tokens.hs256) { $0.issuer = nil } == nil)
        #expect(try JWTTests.refusal(Tokens.hs256) { $0.audience = "other" } == .wrongAudience)
        #expect(try JWTTests.refusal(Tokens.audList) { $0.audience = "other" } == nil)
        #expect(try JWTTests.refusal(Tokens.audList) == nil)
        #expect(try JWTTests.refusal(Tokens.hs256) { $0.audience = nil } == .wrongAudience)
        #expect(try JWTTests.refusal(Tokens.withoutAud) == .wrongAudience)
        #expect(try JWTTests.refusal(Tokens.withoutAud) { $0.audience = nil } == nil)
    }

    @Test(arguments: [
        (Tokens.audNumber, JWTError.Code.invalidClaim), (Tokens.expText, .invalidClaim),
        (Tokens.subNumber, .invalidClaim), (Tokens.twice, .malformed), (Tokens.infinite, .malformed),
        (Tokens.trailing, .malformed), (Tokens.array, .malformed), (Tokens.critical, .malformed),
        (Tokens.headerTwice, .malformed), (Tokens.kidNumber, .malformed), ("", .malformed), ("..", .malformed),
        (".", .malformed), ("a.b.c", .malformed), ("e30.e30.e30", .malformed),
    ])
    func malformedTokens(_ token: String, _ code: JWTError.Code) throws {
        #expect(try JWTTests.refusal(token) { $0.issuer = nil } == code)
    }

    @Test func sizesAndTypes() throws {
        #expect(try JWTTests.refusal(Tokens.hs256) { $0.maxSize = Tokens.hs256.utf8.count } == nil)
        #expect(try JWTTests.refusal(Tokens.hs256) { $0.maxSize = Tokens.hs256.utf8.count - 1 } == .malformed)
        #expect(try JWTTests.refusal(String(repeating: "A", count: 8193)) == .malformed)
        #expect(try JWTTests.refusal(Tokens.atJWT) { $0.type = "at+jwt" } == nil)
        #expect(try JWTTests.refusal(Tokens.hs256) { $0.type = "at+jwt" } == .malformed)
        #expect(try JWTTests.refusal(Tokens.es256) { $0.type = "at+jwt" } == .malformed)
    }

    @Test func claimsOfAnyType() throws {
        struct Claims: Decodable, Equatable { var sub: String, roles: [String], admin: Bool, level: Double }
        let jwt = try JWTVerifier(keys: JWTTests.keys()).verify(Tokens.rich, at: 1500)
        #expect(jwt.strings("roles") == ["a", "b"] && jwt.bool("admin") == true && jwt.number("level") == 2.5)
        #expect(jwt.string("name") == "Adä😀" && jwt.string("level") == nil && jwt.strings("scope") == nil)
        #expect(jwt.scopes == ["read", "write"])
        #expect(try jwt.decode() == Claims(sub: "ada", roles: ["a", "b"], admin: true, level: 2.5))
        #expect(throws: JSONDecodingError.self) { _ = try jwt.decode([String].self) }
    }

    @Test func invalidKeys() throws {
        for make in [
            { try JWTKey.hs256(secret: [UInt8](1...31)) }, { try JWTKey.rs256(pem: Tokens.smallPEM) },
            { try JWTKey.rs256(pem: Tokens.p256PEM) }, { try JWTKey.es256(pem: Tokens.rsaPEM) },
            { try JWTKey.es256(pem: Tokens.p384PEM) }, { try JWTKey.es256(pem: "") },
        ] as [() throws -> JWTKey] {
            let error = #expect(throws: JWTError.self) { _ = try make() }
            #expect(error?.code == .invalidKey)
        }
    }

    @Test func keySets() throws {
        let keys = try JWTTests.keys()
        #expect(keys.map(\.id) == ["r1", "e1", "e2", "h1"])
        #expect(keys.map(\.algorithm) == [.rs256, .es256, .es256, .hs256])
        for (text, part) in [
            ("", "must be JSON"), ("[]", "array keys"), ("{\"keys\":{}}", "array keys"),
            ("{\"keys\":[]}", "must have a key"),
            ("{\"keys\":[{\"kty\":\"OKP\"},1]}", "must have a key"),
            ("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"AA\",\"y\":\"AA\"}]}", "key 0 of the set: x and y"),
            ("{\"keys\":[{\"kty\":\"EC\",\"crv\":\"P-256\",\"x\":\"A=\",\"y\":\"AA\"}]}", "x must be base64url"),
            ("{\"keys\":[{\"kty\":\"RSA\",\"e\":\"AQAB\"}]}", "n must be base64url"),
            ("{\"keys\":[{\"kty\":\"RSA\",\"n\":\"AQAB\",\"e\":\"AQAB\"}]}", "2048"),
            ("{\"keys\":[{\"kty\":\"oct\",\"alg\":\"HS256\",\"k\":\"AQAB\"}]}", "32 to 4096"),
            ("{\"keys\":[" + [String](repeating: "1", count: 65).joined(separator: ",") + "]}", "at most 64"),
        ] {
            let error = #expect(throws: JWTError.self) { _ = try JWTKey.set(text) }
            #expect(error?.message.contains(part) == true, "\(text): \(String(describing: error))")
        }
    }
}
#endif
