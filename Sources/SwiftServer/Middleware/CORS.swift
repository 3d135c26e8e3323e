/// Cross-origin resource sharing: allows pages of other sites to read responses, and only allowed sites to open
/// WebSockets.
///
/// ```swift
/// server.use(CORS(.list(["https://shop.example"]), allowsCredentials: true))
/// ```
///
/// - A request of an allowed origin gets `Access-Control-Allow-Origin`, whatever its status is: also 404 and 405. One
///   of another origin is served without it, so the browser hides the response from the page.
/// - A preflight request, by which browsers ask for permission, is answered here: with status 204, or 403 for an origin
///   that is not allowed.
/// - A handshake of a WebSocket gets status 403 when its origin is neither allowed nor the site itself. Browsers do not
///   check WebSockets, so without this any page can open one with the cookies of its user. Clients that are no browsers
///   send no `Origin` and are not refused.
/// - Unless all origins are allowed, responses have `Vary: Origin`, for caches. A `Vary` of the handler is merged with
///   it.
public struct CORS: SynchronousMiddleware, ConfiguredMiddleware {
    /// The sites whose pages may read responses.
    public enum Origins: Sendable {
        /// All sites.
        case any
        /// These sites, as browsers write them: "https://shop.example", with a port if it is not the usual one. "null"
        /// stands for pages without a site.
        case list(Set<String>)
        /// The sites for which the function returns true. It gets the field `Origin` as it was sent, which may be
        /// malformed: compare all of it, and not its beginning or end only.
        case matching(@Sendable (String) -> Bool)
    }

    /// The sites whose pages may read responses.
    public let origins: Origins
    /// Whether requests may have cookies and other credentials. Not with ``Origins/any``.
    public let allowsCredentials: Bool
    private let methods: String
    /// `nil`: those that the request asks for.
    private let fields: String?
    private let exposed: String?
    private let maxAge: String?
    private let names: [String]

    /// Makes the middleware.
    ///
    /// - Parameters:
    ///   - origins: the sites whose pages may read responses.
    ///   - allowsCredentials: whether requests may have cookies and other credentials.
    ///   - methods: the methods that pages may use.
    ///   - headers: the header fields that pages may send; `nil`: all.
    ///   - exposedHeaders: the header fields of responses that pages may read, beside the simple ones such as
    ///     `Content-Type`.
    ///   - maxAge: how long browsers may remember the answer to a preflight request; `nil`: their default, 5 seconds.
    public init(
        _ origins: Origins = .any, allowsCredentials: Bool = false,
        methods: [HTTPMethod] = [.get, .head, .post, .put, .patch, .delete], headers: [String]? = nil,
        exposedHeaders: [String] = [], maxAge: Duration? = .seconds(600)
    ) {
        self.origins = origins
        self.allowsCredentials = allowsCredentials
        self.methods = methods.map(\.rawValue).joined(separator: ", ")
        fields = headers?.joined(separator: ", ")
        exposed = exposedHeaders.isEmpty ? nil : exposedHeaders.joined(separator: ", ")
        self.maxAge = maxAge.map { "\($0.components.seconds)" }
        names = methods.map(\.rawValue) + (headers ?? []) + exposedHeaders
    }

    var problem: String? {
        if case .any = origins, allowsCredentials {
            return
                "cannot use CORS: allowsCredentials needs origins that are named, since it gives them the users' rights"
        }
        if let name = names.first(where: { !CORS.isToken($0) || $0 == "*" && allowsCredentials }) {
            return "cannot use CORS: methods and headers must be names, got \(name.debugDescription)"
        }
        if maxAge?.hasPrefix("-") == true {
            return "cannot use CORS: maxAge must be 0 s or more, got \(maxAge ?? "") s"
        }
        guard case .list(let list) = origins, let wrong = list.sorted().first(where: { !CORS.isOrigin($0) }) else {
            return nil
        }
        return """
            cannot use CORS: origins must be like "https://shop.example", in lower case and without a path, got \
            \(wrong.debugDescription)
            """
    }

    private static func isToken(_ name: String) -> Bool {
        !name.isEmpty && PackedFields.isValid(name, "") && !name.utf8.contains(UInt8(ascii: ","))
    }

    private static func isOrigin(_ text: String) -> Bool {
        if text == "null" { return true }
        let parts = text.split(separator: "/", maxSplits: 2, omittingEmptySubsequences: false)
        guard parts.count == 3, parts[0].count > 1, parts[0].hasSuffix(":"), parts[1].isEmpty, !parts[2].isEmpty else {
            return false
        }
        return text.utf8.allSatisfy { (0x21...0x7E).contains($0) && !(0x41...0x5A).contains($0) }
            && !parts[2].contains { "/?#@*,".contains($0) }
    }

    private var isForAll: Bool { if case .any = origins { true } else { false } }

    private func allows(_ origin: String) -> Bool {
        switch origins {
        case .any: true
        case .list(let list): list.contains(origin)
        case .matching(let function): function(origin)
        }
    }

    /// Adds the fields to the response, and answers preflight requests and handshakes that are refused.
    public func prepare(_ request: inout Request, _ response: Response) {
        let origins = request.header.all("origin")
        if request.isHandshake {
            let isRefused = origins.contains { !allows($0) && $0 != "\(request.scheme)://\(request.host)" }
            return isRefused ? refuse(response) : ()
        }
        if !isForAll { response.header("Vary", "Origin") }
        guard let origin = origins.first else { return }
        let isPreflight = request.method == "OPTIONS" && request.header.contains("access-control-request-method")
        guard origins.count == 1, allows(origin) else { return isPreflight ? refuse(response) : () }
        response.header("Access-Control-Allow-Origin", isForAll ? "*" : origin)
        if allowsCredentials { response.header("Access-Control-Allow-Credentials", "true") }
        if isPreflight { return answer(request, response) }
        if let exposed { response.header("Access-Control-Expose-Headers", exposed) }
    }

    @MainActor private func answer(_ request: Request, _ response: Response) {
        if !methods.isEmpty { response.header("Access-Control-Allow-Methods", methods) }
        if let fields {
            if !fields.isEmpty { response.header("Access-Control-Allow-Headers", fields) }
        } else {
            response.header("Vary", "Access-Control-Request-Headers")
            if let wanted = request.header["access-control-request-headers"], !wanted.isEmpty {
                response.header("Access-Control-Allow-Headers", wanted)
            }
        }
        if let maxAge { response.header("Access-Control-Max-Age", maxAge) }
        response.status(204)
        response.end()
    }

    @MainActor private func refuse(_ response: Response) {
        response.status(403)
        response.end("the origin is not allowed\n")
    }
}
