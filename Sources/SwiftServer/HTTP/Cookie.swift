internal import CReactor

/// A cookie that a response sets.
///
/// ```swift
/// try response.cookie(Cookie("session", id, maxAge: .seconds(3600), isSecure: true))
/// ```
///
/// By default it is sent back for all paths, scripts cannot read it, and other sites' requests carry it only when they
/// lead to a page.
public struct Cookie: Sendable, Hashable {
    /// The requests of other sites with which a browser sends the cookie.
    public enum SameSite: Sendable, Hashable, CaseIterable {
        /// Those that lead to a page of this site.
        case lax
        /// None.
        case strict
        /// All. Browsers require ``Cookie/isSecure`` with it.
        case none
    }

    /// The name: a token.
    public var name: String
    /// The value: visible ASCII characters other than quotes, commas, semicolons and backslashes. Encode others.
    public var value: String
    /// The paths that get the cookie: this one and those below it. `nil`: the folder of the request.
    public var path: String?
    /// The domain whose hosts get the cookie. `nil`: only the host that has set it.
    public var domain: String?
    /// The time after which the browser drops the cookie, in whole seconds; zero or less: at once. It takes precedence
    /// over ``expires``. When both are `nil`, the cookie lasts as long as the browser's session.
    public var maxAge: Duration?
    /// The time at which the browser drops the cookie, in seconds since 1970.
    public var expires: Double?
    /// Whether the cookie is sent over TLS only.
    public var isSecure: Bool
    /// Whether scripts cannot read the cookie.
    public var isHTTPOnly: Bool
    /// The requests of other sites that carry the cookie; `nil`: what the browser thinks best.
    public var sameSite: SameSite?
    /// Whether the cookie of an embedded page is kept apart for each page that embeds it (CHIPS).
    public var isPartitioned: Bool

    /// Makes a cookie; see the properties.
    public init(
        _ name: String, _ value: String, path: String? = "/", domain: String? = nil, maxAge: Duration? = nil,
        expires: Double? = nil, isSecure: Bool = false, isHTTPOnly: Bool = true, sameSite: SameSite? = .lax,
        isPartitioned: Bool = false
    ) {
        self.name = name
        self.value = value
        self.path = path
        self.domain = domain
        self.maxAge = maxAge
        self.expires = expires
        self.isSecure = isSecure
        self.isHTTPOnly = isHTTPOnly
        self.sameSite = sameSite
        self.isPartitioned = isPartitioned
    }
}

/// Why a cookie cannot be set: browsers would refuse or misread it.
public struct CookieError: Error, Sendable, Hashable, CustomStringConvertible {
    /// One line that names the attribute and the cause.
    public let description: String
}

extension Cookie {
    /// Returns the value of a Set-Cookie field.
    func field() throws(CookieError) -> String {
        try check()
        var room = name.utf8.count + value.utf8.count + (path?.utf8.count ?? 0) + (domain?.utf8.count ?? 0)
        room += 256  // the attributes themselves
        let text = unsafe withStrings { name, value, path, domain in
            var cookie = unsafe cre_http_set_cookie()
            unsafe cookie.name = name
            unsafe cookie.value = value
            unsafe cookie.path = path
            unsafe cookie.domain = domain
            // In C, 0 stands for no date.
            unsafe cookie.expires = expires.map { Int64(min(max(1, $0), 253_402_300_799)) } ?? 0
            unsafe cookie.max_age = maxAge.map { max(0, $0.components.seconds) } ?? -1
            unsafe cookie.secure = isSecure
            unsafe cookie.http_only = isHTTPOnly
            unsafe cookie.partitioned = isPartitioned
            unsafe cookie.same_site =
                switch sameSite {
                case .lax: CRE_HTTP_SAME_SITE_LAX
                case .strict: CRE_HTTP_SAME_SITE_STRICT
                case .some(.none): CRE_HTTP_SAME_SITE_NONE
                case nil: CRE_HTTP_SAME_SITE_UNSET
                }
            var size: Int32 = 0
            let bytes = unsafe [UInt8](unsafeUninitializedCapacity: room) { out, count in
                size = unsafe out.withMemoryRebound(to: CChar.self) {
                    unsafe cre_http_write_cookie($0.baseAddress, $0.count, &cookie)
                }
                count = max(0, Int(size))
            }
            return size >= 0 ? String(decoding: bytes, as: UTF8.self) : nil
        }
        guard let text else { throw CookieError(description: "cookie \"\(name)\" has an invalid attribute") }
        return text
    }

    private func withStrings<Result>(
        _ body: (
            UnsafePointer<CChar>, UnsafePointer<CChar>, UnsafePointer<CChar>?, UnsafePointer<CChar>?
        ) -> Result
    ) -> Result {
        unsafe name.withCString { name in
            unsafe value.withCString { value in
                unsafe (path ?? "").withCString { pathText in
                    unsafe (domain ?? "").withCString { domainText in
                        unsafe body(
                            name, value, path == nil ? nil : pathText, domain == nil ? nil : domainText)
                    }
                }
            }
        }
    }

    /// The rules of RFC 6265 and of browsers: what breaks them is not kept.
    private func check() throws(CookieError) {
        func require(_ isGood: Bool, _ cause: @autoclosure () -> String) throws(CookieError) {
            if !isGood { throw CookieError(description: "cookie \"\(name)\": \(cause())") }
        }
        try require(!name.isEmpty && name.utf8.allSatisfy(Cookie.isToken), "name must be a token")
        try require(
            value.utf8.allSatisfy(Cookie.isValue),
            "value must have visible ASCII characters other than quotes, commas, semicolons and backslashes")
        try require(name.utf8.count + value.utf8.count <= 4096, "name and value must have at most 4096 bytes")
        if let path {
            try require(
                path.hasPrefix("/") && path.utf8.count <= 1024 && path.utf8.allSatisfy(Cookie.isAttribute),
                "path must begin with \"/\" and have at most 1024 visible ASCII characters other than \";\"")
        }
        if let domain {
            try require(
                !domain.isEmpty && domain.utf8.count <= 255 && domain.utf8.allSatisfy(Cookie.isHost),
                "domain must be the name of a host, got \"\(domain)\"")
        }
        if let expires { try require(expires.isFinite, "expires must be a time, got \(expires)") }
        try require(sameSite != SameSite.none || isSecure, "sameSite .none needs isSecure")
        try require(!isPartitioned || isSecure, "isPartitioned needs isSecure")
        let prefix = name.lowercased()
        if prefix.hasPrefix("__secure-") { try require(isSecure, "the prefix __Secure- needs isSecure") }
        if prefix.hasPrefix("__host-") {
            try require(
                isSecure && path == "/" && domain == nil,
                "the prefix __Host- needs isSecure, the path \"/\" and no domain")
        }
    }

    private static func isToken(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"):
            true
        default: "!#$%&'*+-.^_`|~".utf8.contains(byte)
        }
    }

    private static func isValue(_ byte: UInt8) -> Bool {
        (0x21...0x7E).contains(byte) && !"\",;\\".utf8.contains(byte)
    }

    private static func isAttribute(_ byte: UInt8) -> Bool {
        (0x20...0x7E).contains(byte) && byte != UInt8(ascii: ";")
    }

    private static func isHost(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
            true
        default: false
        }
    }
}

extension Response {
    /// Adds a cookie. Several may be set.
    ///
    /// - Throws: ``CookieError``, which names the attribute that browsers would refuse; nothing is added then.
    /// - Returns: ``ResponseResult/full`` when the fields have no room for the cookie, ``ResponseResult/begun`` or
    ///   ``ResponseResult/ended``; nothing is added then.
    @discardableResult public func cookie(_ cookie: Cookie) throws(CookieError) -> ResponseResult {
        let field = try cookie.field()
        return header("Set-Cookie", field)
    }

    /// Makes the browser drop a cookie. Path and domain must be those with which it was set.
    @discardableResult public func deleteCookie(
        _ name: String, path: String? = "/", domain: String? = nil
    ) throws(CookieError) -> ResponseResult {
        let isSecure = name.lowercased().hasPrefix("__")
        return try cookie(
            Cookie(name, "", path: path, domain: domain, maxAge: .zero, expires: 1, isSecure: isSecure))
    }
}
