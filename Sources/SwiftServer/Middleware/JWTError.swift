/// A token is not accepted, or a key cannot be used.
public struct JWTError: Error, Sendable, Hashable, CustomStringConvertible {
    /// The kind of an error.
    public struct Code: Sendable, Hashable, CustomStringConvertible {
        let name: String

        /// The token is not of the form of RFC 7519, or is larger than ``JWTVerifier/maxSize``.
        public static let malformed = Code(name: "malformed")
        /// The verifier has no key for the token's algorithm and key id.
        public static let unknownKey = Code(name: "unknownKey")
        /// The signature is not that of the token.
        public static let invalidSignature = Code(name: "invalidSignature")
        /// The token has expired, or is older than ``JWTVerifier/maxAge``.
        public static let expired = Code(name: "expired")
        /// The token is not valid yet, or was issued in the future.
        public static let notYetValid = Code(name: "notYetValid")
        /// The token is of another issuer.
        public static let wrongIssuer = Code(name: "wrongIssuer")
        /// The token is for another audience.
        public static let wrongAudience = Code(name: "wrongAudience")
        /// A claim is missing or has another type than RFC 7519 gives it.
        public static let invalidClaim = Code(name: "invalidClaim")
        /// A key is malformed, too small or too large, or of another type than its algorithm needs.
        public static let invalidKey = Code(name: "invalidKey")
        /// The build has no OpenSSL: the trait `TLS` is off.
        public static let unsupported = Code(name: "unsupported")

        /// The name of the code.
        public var description: String { name }
    }

    /// The kind of the error.
    public let code: Code
    /// One line that names the cause. It has no part of the token.
    public let message: String

    /// Code and message.
    public var description: String { "\(code): \(message)" }

    init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}
