/// A method of HTTP, such as ``get``; others are written as text: `"PROPFIND"`.
public struct HTTPMethod: RawRepresentable, Sendable, Hashable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// The name as it is sent: upper case for the methods of the standard.
    public let rawValue: String

    /// Makes a method of any name.
    public init(rawValue: String) { self.rawValue = rawValue }

    /// Makes a method of any name.
    public init(stringLiteral value: String) { rawValue = value }

    /// Transfers a representation of the resource.
    public static let get: HTTPMethod = "GET"
    /// Like ``get``, without the body of the response.
    public static let head: HTTPMethod = "HEAD"
    /// Processes the body of the request.
    public static let post: HTTPMethod = "POST"
    /// Replaces the resource.
    public static let put: HTTPMethod = "PUT"
    /// Changes a part of the resource.
    public static let patch: HTTPMethod = "PATCH"
    /// Removes the resource.
    public static let delete: HTTPMethod = "DELETE"
    /// Asks what may be done with the resource.
    public static let options: HTTPMethod = "OPTIONS"
    /// Returns the request as it was received.
    public static let trace: HTTPMethod = "TRACE"

    /// The name.
    public var description: String { rawValue }
}
