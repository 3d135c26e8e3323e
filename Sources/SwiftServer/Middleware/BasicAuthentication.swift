internal import CReactor

/// Name and password of a request, as the client has sent them. Printing it does not show the password.
public struct BasicCredentials: Sendable, CustomStringConvertible, CustomReflectable {
    /// The name of the user.
    public let name: String
    /// The password. Do not log it, and compare it by ``hasPassword(_:)`` or by its hash.
    public let password: String

    /// Whether this is the password. How long that takes does not depend on where they differ.
    public func hasPassword(_ expected: String) -> Bool {
        var (password, expected) = (password, expected)
        return password.withUTF8 { given in
            expected.withUTF8 { expected in
                unsafe cre_secret_equal(given.baseAddress, given.count, expected.baseAddress, expected.count)
            }
        }
    }

    /// The name alone.
    public var description: String { "BasicCredentials(name: \(name))" }
    /// The name alone.
    public var customMirror: Mirror { Mirror(self, children: ["name": name], displayStyle: .struct) }

    /// The credentials of `Authorization: Basic`, which must be base64 of UTF-8 without control characters.
    init?(_ text: String) {
        guard let bytes = Base64.decode(Array(text.utf8)), let text = String(validating: bytes, as: UTF8.self),
            let colon = text.unicodeScalars.firstIndex(of: ":"),
            text.unicodeScalars.allSatisfy({ $0.properties.generalCategory != .control })
        else { return nil }
        self.init(
            name: String(text.unicodeScalars[..<colon]),
            password: String(text.unicodeScalars[text.unicodeScalars.index(after: colon)...]))
    }

    init(name: String, password: String) {
        self.name = name
        self.password = password
    }
}

/// Asks for a name and a password (RFC 7617), and refuses requests without valid ones with status 401.
///
/// ```swift
/// server.group("/admin", use: [
///     BasicAuthentication(realm: "admin") { credentials in
///         try await users.find(credentials.name, password: credentials.password)
///     }
/// ]) { admin in
///     admin.get("/") { request, response in response.end("hello \(try request.value(User.self).name)") }
/// }
/// ```
///
/// The password is sent with each request and nearly in plain text: use it over TLS only.
public struct BasicAuthentication<User: Sendable>: Middleware {
    private let challenge: String
    private let authenticate: @MainActor (BasicCredentials) async throws -> User?

    /// - Parameters:
    ///   - realm: the name of the protected area, which browsers show.
    ///   - authenticate: returns the user, which handlers find as `request[User.self]`; `nil` refuses the request. Like
    ///     an error that a handler throws, its error answers the request.
    public init(realm: String, authenticate: @escaping @MainActor (BasicCredentials) async throws -> User?) {
        challenge = "Basic realm=\(Authorization.quoted(realm)), charset=\"UTF-8\""
        self.authenticate = authenticate
    }

    /// Calls the handler with a request that has the user, or refuses it.
    public func handle(_ request: Request, _ response: Response, next: Next) async throws {
        guard case .credentials(let text) = Authorization(of: request, scheme: "basic"),
            let credentials = BasicCredentials(text), let user = try await authenticate(credentials)
        else { return response.refuse(401, challenge: challenge, "name and password are required\n") }
        var request = request
        request[User.self] = user
        try await next(request, response)
    }
}

extension BasicAuthentication where User == BasicCredentials {
    /// Accepts the users of a dictionary of names and passwords. Handlers find the name as
    /// `request[BasicCredentials.self]?.name`.
    public init(realm: String, passwords: [String: String]) {
        self.init(realm: realm) { credentials in
            // Compared with something for unknown names, too: the time does not show whether a name exists.
            let isRight = credentials.hasPassword(passwords[credentials.name] ?? credentials.password + " ")
            return isRight ? credentials : nil
        }
    }
}
