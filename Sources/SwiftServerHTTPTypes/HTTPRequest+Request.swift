#if HTTPTypes
public import HTTPTypes
public import SwiftServer

extension HTTPRequest {
    /// The head of a request as the type that packages share: method, scheme, authority, path with query, and header
    /// fields.
    ///
    /// The field `Host` is the authority and not among the header fields. `nil` when the method is none that the type
    /// takes, which a request that the server has accepted cannot have.
    public init?(_ request: Request) {
        guard let method = Method(request.method) else { return nil }
        let query = request.queryString.map { "?\($0)" } ?? ""
        var fields = HTTPFields(request.header)
        fields[Self.host] = nil
        self.init(
            method: method, scheme: request.scheme, authority: request.host.isEmpty ? nil : request.host,
            path: request.target == "*" ? "*" : request.path + query, headerFields: fields)
    }

    private static let host = HTTPField.Name("Host")!
}

extension HTTPFields {
    /// The header fields of a request, in order.
    public init(_ fields: Request.Fields) {
        self.init()
        for (name, value) in fields {
            // The server has accepted the name, so it is a valid one.
            guard let name = HTTPField.Name(name) else { continue }
            append(HTTPField(name: name, value: value))
        }
    }
}
#endif
