internal import CReactor

/// A key that verifies signatures of tokens. It belongs to one algorithm, so a token that names another one is never
/// verified with it.
public struct JWTKey: Sendable {
    /// The algorithms of signatures (RFC 7518).
    public enum Algorithm: String, Sendable, Hashable, CaseIterable {
        /// HMAC with SHA-256 and a secret that issuer and verifier share.
        case hs256 = "HS256"
        /// RSA (PKCS #1 v1.5) with SHA-256.
        case rs256 = "RS256"
        /// ECDSA on the curve P-256 with SHA-256.
        case es256 = "ES256"
    }

    /// The algorithm of the key.
    public let algorithm: Algorithm
    /// The key id: a token with a `kid` is verified only with keys that have this id, or none.
    public let id: String?
    private let key: SignatureKey

    /// A shared secret of 32 to 4096 random bytes.
    public static func hs256(secret: [UInt8], id: String? = nil) throws(JWTError) -> JWTKey {
        try unsafe JWTKey(.hs256, id, "a secret must have 32 to 4096 bytes, got \(secret.count)") {
            unsafe cre_signature_key_secret(secret, secret.count, &$0)
        }
    }

    /// An RSA public key of 2048 to 8192 bits, or a certificate with one, in PEM.
    public static func rs256(pem: String, id: String? = nil) throws(JWTError) -> JWTKey {
        try unsafe JWTKey(.rs256, id, "the text must be a PEM with an RSA public key of 2048 to 8192 bits") {
            unsafe JWTKey.read(pem, CRE_SIGNATURE_RS256, &$0)
        }
    }

    /// A public key on the curve P-256, or a certificate with one, in PEM.
    public static func es256(pem: String, id: String? = nil) throws(JWTError) -> JWTKey {
        try unsafe JWTKey(.es256, id, "the text must be a PEM with a public key on P-256") {
            unsafe JWTKey.read(pem, CRE_SIGNATURE_ES256, &$0)
        }
    }

    static func rs256(modulus: [UInt8], exponent: [UInt8], id: String?) throws(JWTError) -> JWTKey {
        try unsafe JWTKey(.rs256, id, "n and e must be an RSA public key of 2048 to 8192 bits") {
            unsafe cre_signature_key_rsa(modulus, modulus.count, exponent, exponent.count, &$0)
        }
    }

    static func es256(x: [UInt8], y: [UInt8], id: String?) throws(JWTError) -> JWTKey {
        guard x.count == 32, y.count == 32 else { throw JWTError(.invalidKey, "x and y must have 32 bytes each") }
        return try unsafe JWTKey(.es256, id, "x and y must be a point on P-256") {
            unsafe cre_signature_key_p256(x, y, &$0)
        }
    }

    private static func read(
        _ pem: String, _ algorithm: cre_signature_algorithm, _ out: inout OpaquePointer?
    ) -> Int32 {
        var pem = pem
        return pem.withUTF8 { bytes in
            unsafe bytes.withMemoryRebound(to: CChar.self) {
                unsafe cre_signature_key_pem(algorithm, $0.baseAddress, $0.count, &out)
            }
        }
    }

    private init(
        _ algorithm: Algorithm, _ id: String?, _ rule: String, _ make: (inout OpaquePointer?) -> Int32
    ) throws(JWTError) {
        var raw: OpaquePointer?
        let result = unsafe make(&raw)
        if result == CRE_EUNSUPPORTED.rawValue {
            throw JWTError(.unsupported, "cannot use \(algorithm.rawValue): build with the trait TLS")
        }
        guard result == 0, let raw = unsafe raw else {
            throw JWTError(.invalidKey, result == CRE_ESIGNATURE_KEY.rawValue ? rule : errorText(result))
        }
        self.algorithm = algorithm
        self.id = id
        key = unsafe SignatureKey(raw)
    }

    func verifies(_ signature: [UInt8], of message: ArraySlice<UInt8>) -> Bool {
        unsafe message.withUnsafeBytes {
            unsafe cre_signature_verify(key.raw, $0.baseAddress, $0.count, signature, signature.count) == 0
        }
    }
}

/// A key of the C core, which any thread may use.
@safe private final class SignatureKey: Sendable {
    nonisolated(unsafe) let raw: OpaquePointer

    init(_ raw: OpaquePointer) { unsafe self.raw = raw }

    deinit { unsafe cre_signature_key_destroy(raw) }
}
