/// The parts of a request that few requests have. It does not change, so that copies of a request are independent.
final class RequestAttachments: Sendable {
    /// The source of a body that arrives in pieces.
    let incoming: (any BodyReader)?
    /// The values that middleware has stored, by their types.
    let values: [ObjectIdentifier: any Sendable]

    init(incoming: (any BodyReader)?, values: [ObjectIdentifier: any Sendable]) {
        self.incoming = incoming
        self.values = values
    }
}

extension Request {
    /// The source of a body that arrives in pieces.
    var incoming: (any BodyReader)? {
        get { attachments?.incoming }
        set { attachments = RequestAttachments(incoming: newValue, values: attachments?.values ?? [:]) }
    }

    /// A value that middleware stores for the handlers behind it, one of each type.
    ///
    /// ```swift
    /// server.use { request, response, next in
    ///     var request = request
    ///     request[Tenant.self] = Tenant(host: request.host)
    ///     try await next(request, response)
    /// }
    /// server.get("/") { request, response in
    ///     response.end(request[Tenant.self]?.name ?? "")
    /// }
    /// ```
    ///
    /// The value belongs to this copy of the request and those that are made of it.
    public subscript<Value: Sendable>(type: Value.Type) -> Value? {
        get { attachments?.values[ObjectIdentifier(type)] as? Value }
        set {
            var values = attachments?.values ?? [:]
            values[ObjectIdentifier(type)] = newValue
            attachments = RequestAttachments(incoming: attachments?.incoming, values: values)
        }
    }

    /// The value of this type, which the handler cannot do without.
    ///
    /// - Throws: ``MissingValueError`` when no middleware has stored one. That is an error of the program: a handler
    ///   that does not catch it answers with status 500.
    public func value<Value: Sendable>(_ type: Value.Type = Value.self) throws(MissingValueError) -> Value {
        guard let value = self[type] else { throw MissingValueError(type: "\(type)") }
        return value
    }
}

/// No middleware has stored a value of this type in the request. See ``Request/value(_:)``.
public struct MissingValueError: Error, Hashable, CustomStringConvertible {
    /// The name of the type.
    public let type: String

    /// Names the type.
    public var description: String { "no middleware has stored a \(type) in the request" }
}
