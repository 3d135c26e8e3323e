internal import CReactor

/// What the route of a request has taken from its path.
extension Request {
    /// The pattern of the route that serves the request, like "/users/:id"; `nil` in `onRequest`, and in middleware
    /// around it.
    public var routePattern: String? { route?.info.pattern }

    /// The parameters of the route that serves the request: `request.parameters["id"]`.
    public var parameters: Parameters { Parameters(request: self) }

    /// The values of a route's parameters, decoded. They are read from the path when they are asked for.
    ///
    /// A value has its escapes (`%20`) decoded, `%2F` too: "/files/a%2Fb" matches "/files/:name", and `name` is "a/b".
    /// Requests never match with a value that is empty, has a segment "." or "..", a zero byte or malformed escapes.
    /// Only the value of a wildcard, which is the rest of the path, may be empty.
    public struct Parameters: Sendable, Sequence {
        let request: Request

        /// The value of a parameter; `nil` when the route's pattern has none of this name.
        public subscript(name: String) -> String? {
            guard let all = request.route?.info.parameters else { return nil }
            for parameter in all where parameter.name == name { return request.value(of: parameter) }
            return nil
        }

        /// The value of a parameter, converted.
        ///
        /// ```swift
        /// server.get("/users/:id") { request, response in
        ///     let id = try request.parameters.get("id", as: Int.self)
        /// ```
        ///
        /// - Throws: ``ParameterError``, which answers the request with status 400, for a value that cannot be
        ///   converted; ``MissingParameterError``, which is an error of the program, when the pattern has no parameter
        ///   of this name.
        public func get<Value: LosslessStringConvertible>(
            _ name: String, as type: Value.Type = Value.self
        ) throws -> Value {
            guard let text = self[name] else {
                throw MissingParameterError(name: name, pattern: request.routePattern)
            }
            guard let value = Value(text) else { throw ParameterError(name: name, type: "\(type)") }
            return value
        }

        /// The number of parameters.
        public var count: Int { request.route?.info.parameters.count ?? 0 }

        /// All pairs of name and value, in the order of the pattern.
        public func makeIterator() -> some IteratorProtocol<(name: String, value: String)> {
            (request.route?.info.parameters ?? []).map { (name: $0.name, value: request.value(of: $0)) }.makeIterator()
        }
    }

    /// The decoded part of the path at the place of a parameter.
    private func value(of parameter: RouteInfo.Parameter) -> String {
        unsafe withView { view in
            let head = unsafe view.head.pointee
            let path = unsafe UnsafeBufferPointer(start: view.bytes + Int(head.path), count: Int(head.path_length))
            let slash = UInt8(ascii: "/")
            var start = 1
            for _ in 0..<parameter.segment {
                while start < path.count, unsafe path[start] != slash { start += 1 }
                start += 1
            }
            guard start < path.count else { return "" }
            var end = path.count
            if !parameter.isRest {
                end = start
                while end < path.count, unsafe path[end] != slash { end += 1 }
            }
            return unsafe Request.decoded(UnsafeBufferPointer(rebasing: path[start..<end]))
        }
    }

    private static func decoded(_ bytes: UnsafeBufferPointer<UInt8>) -> String {
        guard unsafe bytes.contains(UInt8(ascii: "%")) else { return unsafe String(decoding: bytes, as: UTF8.self) }
        return unsafe bytes.withMemoryRebound(to: CChar.self) { text in
            unsafe String(unsafeUninitializedCapacity: text.count) { out in
                unsafe out.withMemoryRebound(to: CChar.self) { out in
                    // The route has checked the escapes.
                    let length = unsafe cre_http_percent_decode(text.baseAddress, text.count, out.baseAddress)
                    return Int(max(0, length))
                }
            }
        }
    }
}

/// The value of a path parameter cannot be converted to the type that a handler needs. When a handler throws it, the
/// client gets status 400.
public struct ParameterError: RequestError, Hashable {
    /// The parameter.
    public let name: String
    /// The name of the type.
    public let type: String

    /// Names the parameter and the type.
    public var message: String { "the path parameter \(name) must be a valid \(type)" }
}

/// A handler has asked for a path parameter that the pattern of its route does not have. When it throws the error, the
/// client gets status 500.
public struct MissingParameterError: Error, Hashable, CustomStringConvertible {
    /// The name that was asked for.
    public let name: String
    /// The pattern of the route; `nil` when no route serves the request.
    public let pattern: String?

    /// Names both.
    public var description: String {
        pattern.map { "the route \($0) has no parameter \(name)" } ?? "no route has set the parameter \(name)"
    }
}
