public import SwiftServer

/// Input is not JSON, or not the JSON of the requested type. When a handler throws it, the client gets status 400, or
/// its WebSocket is closed with code 1007.
public struct JSONDecodingError: RequestError, Hashable, CustomStringConvertible {
    /// The place of the mistake, such as "items[2].price"; empty when it concerns the whole input.
    public let path: String
    /// The cause, such as "a number is expected".
    public let cause: String

    /// Place and cause on one line.
    public var message: String { path.isEmpty ? "invalid JSON: \(cause)" : "invalid JSON at \(path): \(cause)" }
    /// The message.
    public var description: String { message }

    init(path: String, cause: String) {
        self.path = path
        self.cause = cause
    }

    init(_ error: any Error) {
        guard let error = error as? DecodingError else {
            self.init(path: "", cause: JSONDecodingError.line("\(error)"))
            return
        }
        switch error {
        case .keyNotFound(let key, let context):
            self.init(path: JSONDecodingError.path(context.codingPath + [key]), cause: "the value is missing")
        case .valueNotFound(let type, let context):
            self.init(
                path: JSONDecodingError.path(context.codingPath),
                cause: "\(JSONDecodingError.kind(of: type)) is expected, got null")
        case .typeMismatch(let type, let context):
            self.init(
                path: JSONDecodingError.path(context.codingPath),
                cause: "\(JSONDecodingError.kind(of: type)) is expected")
        case .dataCorrupted(let context):
            self.init(
                path: JSONDecodingError.path(context.codingPath),
                cause: JSONDecodingError.line(context.debugDescription))
        @unknown default:
            self.init(path: "", cause: "it cannot be decoded")
        }
    }

    /// The coding path as a client knows it: "items[2].price".
    private static func path(_ keys: [any CodingKey]) -> String {
        keys.reduce("") { path, key in
            if let index = key.intValue { return "\(path)[\(index)]" }
            return path.isEmpty ? line(key.stringValue) : "\(path).\(line(key.stringValue))"
        }
    }

    /// A type as the client knows it: names of the program's types are none of its business.
    private static func kind(of type: any Any.Type) -> String {
        switch type {
        case is String.Type: "a string"
        case is Bool.Type: "true or false"
        case is any BinaryInteger.Type: "an integer"
        case is any BinaryFloatingPoint.Type: "a number"
        case is [Any].Type: "an array"
        case is [String: Any].Type: "an object"
        default: "\(type)".hasPrefix("Array<") ? "an array" : "another value"
        }
    }

    /// Text of a client on one line of limited length.
    private static func line(_ text: String) -> String {
        String(String.UnicodeScalarView(text.unicodeScalars.prefix(200).map { $0.value < 0x20 ? " " : $0 }))
    }
}

/// A value cannot be written as JSON: it has a number that is not finite, or its `encode(to:)` has thrown an error.
public struct JSONEncodingError: Error, Hashable, CustomStringConvertible {
    /// One line that names the type and the cause.
    public let description: String

    init(_ type: any Any.Type, _ error: any Error) {
        let cause: String
        if case .invalidValue(let value, let context)? = error as? EncodingError {
            cause = "\(value) at \"\(context.codingPath.map(\.stringValue).joined(separator: "."))\""
        } else {
            cause = "\(error)"
        }
        description = "cannot encode \(type) as JSON: \(cause)"
    }
}
