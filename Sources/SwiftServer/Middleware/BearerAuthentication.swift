/// Asks for a token (`Authorization: Bearer`, RFC 6750), and refuses requests without a valid one.
///
/// ```swift
/// server.use(BearerAuthentication(realm: "shop", tokens: verifier))
/// server.get("/me") { request, response in
///     response.end(try request.value(JWT.self).subject ?? "")
/// }
/// ```
///
/// | request | answer |
/// |---|---|
/// | without a token | 401 |
/// | with several `Authorization` fields, or a malformed one | 400, `invalid_request` |
/// | with a token that is not accepted | 401, `invalid_token` |
/// | that throws ``InsufficientScope`` | 403, `insufficient_scope` |
public struct BearerAuthentication<User: Sendable>: Middleware {
    private let realm: String
    private let authenticate: @MainActor (String) async throws -> User?

    /// - Parameters:
    ///   - realm: the name of the protected area.
    ///   - authenticate: returns the user of a token, which handlers find as `request[User.self]`; `nil`, or a
    ///     ``JWTError``, refuses it. Like an error that a handler throws, other errors answer the request.
    public init(realm: String, authenticate: @escaping @MainActor (String) async throws -> User?) {
        self.realm = Authorization.quoted(realm)
        self.authenticate = authenticate
    }

    /// Accepts JSON Web Tokens.
    ///
    /// - Parameters:
    ///   - realm: the name of the protected area.
    ///   - tokens: verifies the tokens.
    ///   - user: returns the user of a verified token; `nil` refuses it.
    public init(
        realm: String, tokens: JWTVerifier, user: @escaping @MainActor (JWT) async throws -> User?
    ) {
        self.init(realm: realm) { try await user(try tokens.verify($0)) }
    }

    /// Calls the handler with a request that has the user, or refuses it.
    public func handle(_ request: Request, _ response: Response, next: Next) async throws {
        let token: String
        switch Authorization(of: request, scheme: "bearer") {
        case .absent: return response.refuse(401, challenge: "Bearer realm=\(realm)", "a token is required\n")
        case .malformed: return refuse(response, 400, "invalid_request", "the Authorization field is malformed")
        case .credentials(let text):
            guard BearerAuthentication.isToken(text) else {
                return refuse(response, 400, "invalid_request", "the Authorization field is malformed")
            }
            token = text
        }
        do {
            let user: User?
            do {
                user = try await authenticate(token)
            } catch let error as JWTError {
                return refuse(response, 401, "invalid_token", error.message)
            }
            guard let user else { return refuse(response, 401, "invalid_token", "the token is not valid") }
            var request = request
            request[User.self] = user
            try await next(request, response)
        } catch let error as InsufficientScope {
            let scope = ", scope=\(Authorization.quoted(error.scope))"
            refuse(response, 403, "insufficient_scope", "the token does not permit this", scope)
        }
    }

    @MainActor private func refuse(
        _ response: Response, _ status: Int, _ error: String, _ cause: String, _ scope: String = ""
    ) {
        let description = Authorization.quoted(cause)
        response.refuse(
            status, challenge: "Bearer realm=\(realm), error=\"\(error)\", error_description=\(description)\(scope)",
            cause + "\n")
    }

    /// The form `b64token` of RFC 6750, section 2.1.
    private static func isToken(_ text: String) -> Bool {
        let body = text.utf8.reversed().drop { $0 == UInt8(ascii: "=") }
        return !body.isEmpty
            && body.allSatisfy {
                switch $0 {
                case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-._~+/".utf8.contains($0)
                }
            }
    }
}

extension BearerAuthentication where User == JWT {
    /// Accepts JSON Web Tokens. Handlers find the token as `request[JWT.self]`.
    public init(realm: String, tokens: JWTVerifier) { self.init(realm: realm, tokens: tokens) { $0 } }
}

/// The token of a request does not permit what was asked for. Thrown behind a ``BearerAuthentication``, it answers the
/// request with status 403 and the scope that is needed.
public struct InsufficientScope: RequestError, Hashable {
    /// The scopes that are needed, with spaces between them.
    public let scope: String
    /// 403.
    public var status: Int { 403 }
    /// The cause.
    public var message: String { "the token does not permit this" }

    /// - Parameter scope: the scopes that are needed, with spaces between them.
    public init(_ scope: String) { self.scope = scope }
}
