/// Header fields by which browsers protect a site's users.
///
/// ```swift
/// var headers = SecurityHeaders()
/// headers.contentSecurityPolicy = "default-src 'self'; frame-ancestors 'none'"
/// headers.frameOptions = "DENY"
/// headers.permissionsPolicy = nil                           // not sent
/// headers["Cross-Origin-Embedder-Policy"] = "require-corp"  // a further field
/// server.use(headers)
/// ```
///
/// The fields are set before the handler is called, which may replace or remove them by ``Response/headers``. Inner
/// middleware replaces the fields of outer middleware.
public struct SecurityHeaders: SynchronousMiddleware {
    private var fields: [(name: String, value: String)] = []
    /// The fields as responses have them, without those that need TLS.
    private var packed = PackedFields()

    /// Makes the middleware with the default fields.
    public init() {
        strictTransportSecurity = "max-age=31536000"
        contentTypeOptions = "nosniff"
        contentSecurityPolicy = "base-uri 'self'; frame-ancestors 'self'; object-src 'none'"
        frameOptions = "SAMEORIGIN"
        referrerPolicy = "strict-origin-when-cross-origin"
        permissionsPolicy = "camera=(), geolocation=(), microphone=()"
        crossOriginOpenerPolicy = "same-origin-allow-popups"
    }

    /// `Strict-Transport-Security`: how long browsers use TLS only. It is sent when the client has used TLS
    /// (``Request/scheme``). Default: a year, for this host without its subdomains.
    public var strictTransportSecurity: String? {
        get { self[Name.strictTransportSecurity] }
        set { self[Name.strictTransportSecurity] = newValue }
    }

    /// `X-Content-Type-Options`: whether browsers may guess a type that differs from `Content-Type`. Default:
    /// "nosniff", they may not.
    public var contentTypeOptions: String? {
        get { self[Name.contentTypeOptions] }
        set { self[Name.contentTypeOptions] = newValue }
    }

    /// `Content-Security-Policy`: where a page may load its parts from, and who may show it in a frame. Default: frames
    /// of the same site, no plugins, and no change of the base of links. A policy for scripts depends on the site:
    /// start with "default-src 'self'".
    public var contentSecurityPolicy: String? {
        get { self[Name.contentSecurityPolicy] }
        set { self[Name.contentSecurityPolicy] = newValue }
    }

    /// `X-Frame-Options`: who may show a page in a frame, for browsers without ``contentSecurityPolicy``. Default:
    /// "SAMEORIGIN".
    public var frameOptions: String? {
        get { self[Name.frameOptions] }
        set { self[Name.frameOptions] = newValue }
    }

    /// `Referrer-Policy`: how much of a page's address other sites get. Default: "strict-origin-when-cross-origin",
    /// the host without the path.
    public var referrerPolicy: String? {
        get { self[Name.referrerPolicy] }
        set { self[Name.referrerPolicy] = newValue }
    }

    /// `Permissions-Policy`: which abilities of the browser a page may use. Default: neither camera, microphone nor
    /// location.
    public var permissionsPolicy: String? {
        get { self[Name.permissionsPolicy] }
        set { self[Name.permissionsPolicy] = newValue }
    }

    /// `Cross-Origin-Opener-Policy`: whether pages of other sites that a page has opened, or was opened by, get access
    /// to its window. Default: "same-origin-allow-popups", those that it has opened itself only.
    public var crossOriginOpenerPolicy: String? {
        get { self[Name.crossOriginOpenerPolicy] }
        set { self[Name.crossOriginOpenerPolicy] = newValue }
    }

    /// `Cross-Origin-Resource-Policy`: which sites may embed the responses, such as images. Default: `nil`, all.
    public var crossOriginResourcePolicy: String? {
        get { self[Name.crossOriginResourcePolicy] }
        set { self[Name.crossOriginResourcePolicy] = newValue }
    }

    /// The value of a field; `nil`: it is not sent. Names match in any letter case. A field with characters that could
    /// break the response is not set, and reported as an error in the log.
    public subscript(name: String) -> String? {
        get { fields.first { $0.name.lowercased() == name.lowercased() }?.value }
        set {
            if let newValue, !PackedFields.isValid(name, newValue) {
                return Log.error("SecurityHeaders cannot set \(name.debugDescription) to \(newValue.debugDescription)")
            }
            let place = fields.firstIndex { $0.name.lowercased() == name.lowercased() }
            switch (place, newValue) {
            case (let place?, let value?): fields[place].value = value
            case (let place?, nil): fields.remove(at: place)
            case (nil, let value?): fields.append((name, value))
            case (nil, nil): break
            }
            packed = PackedFields()
            for field in fields where !SecurityHeaders.needsTLS(field.name) {
                _ = packed.append(field.name, field.value)
            }
        }
    }

    private enum Name {
        static let strictTransportSecurity = "Strict-Transport-Security"
        static let contentTypeOptions = "X-Content-Type-Options"
        static let contentSecurityPolicy = "Content-Security-Policy"
        static let frameOptions = "X-Frame-Options"
        static let referrerPolicy = "Referrer-Policy"
        static let permissionsPolicy = "Permissions-Policy"
        static let crossOriginOpenerPolicy = "Cross-Origin-Opener-Policy"
        static let crossOriginResourcePolicy = "Cross-Origin-Resource-Policy"
    }

    private static func needsTLS(_ name: String) -> Bool {
        name.lowercased() == Name.strictTransportSecurity.lowercased()
    }

    /// Sets the fields.
    public func prepare(_ request: inout Request, _ response: Response) {
        if response.packed.isEmpty {
            response.packed = packed
        } else {
            for field in fields where !SecurityHeaders.needsTLS(field.name) {
                response.headers[field.name] = field.value
            }
        }
        if let value = strictTransportSecurity, request.scheme == "https" {
            response.headers[Name.strictTransportSecurity] = value
        }
    }
}
