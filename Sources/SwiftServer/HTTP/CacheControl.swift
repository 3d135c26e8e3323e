/// The value of a `Cache-Control` field: `.immutable`, `.maxAge(.seconds(3600))`, or any text.
public struct CacheControl: Sendable, Hashable, ExpressibleByStringLiteral {
    /// The field's value.
    public let value: String

    /// Makes a rule of any directives: "private, max-age=60".
    public init(_ value: String) { self.value = value }

    /// Makes a rule of any directives.
    public init(stringLiteral value: String) { self.value = value }

    /// For files whose name changes with their content: caches keep them for a year and never ask again.
    public static let immutable: CacheControl = "public, max-age=31536000, immutable"
    /// Caches ask each time whether their copy is current, which costs a request and no body.
    public static let revalidate: CacheControl = "no-cache"
    /// Caches keep nothing.
    public static let noStore: CacheControl = "no-store"

    /// Caches use their copy for this time, in whole seconds, and ask then whether it is current.
    public static func maxAge(_ time: Duration) -> CacheControl {
        CacheControl("public, max-age=\(max(0, time.components.seconds))")
    }
}
