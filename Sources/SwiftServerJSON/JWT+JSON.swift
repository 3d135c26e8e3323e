public import SwiftServer

extension JWT {
    /// Reads the claims of a verified token.
    ///
    /// ```swift
    /// struct Claims: Decodable { var sub: String, roles: [String] }
    /// let claims = try request.value(JWT.self).decode(Claims.self)
    /// ```
    public func decode<Value: Decodable>(
        _ type: Value.Type = Value.self, format: JSONFormat = .standard
    ) throws(JSONDecodingError) -> Value {
        try format.decode(type, from: claims)
    }
}
